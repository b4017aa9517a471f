"""What does the frozen backbone take in and give out? Numbers only; no torch is imported."""

SIZE_PX = 224  # side of the square input
PATCH_PX = 16
WIDTH, LAYERS, HEADS, HIDDEN = 768, 12, 12, 3072
MEAN = (0.48145466, 0.4578275, 0.40821073)  # per channel RGB, of CLIP's own preprocessing
STD = (0.26862954, 0.26130258, 0.27577711)
RECURRENT = "frozen-lstm"  # model_type of a recurrent head on its class tokens
ATTENTION = "frozen-attention"  # model_type of queries on its patch tokens
