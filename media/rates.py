"""At which rates are audio and motion examined, whatever the file has? Imports nothing."""

AUDIO_HZ = 16_000  # mono samples: the rate of Whisper, AV-HuBERT, SyncNet and silero-vad
MOTION_HZ = 25  # images of a moving face: the rate of AV-HuBERT; most video has it or more
