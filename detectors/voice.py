"""Does the voice sound like a person's? (wav2vec 2.0 and its kin)

Any audio classifier of transformers that takes the waveform works here. No checkpoint of this role
comes with the program, so it is silent until one is chosen by its Hub id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detectors.base import Detector, Measurement
from detectors.preprocess import to_audio_input
from hub.checkpoint import Checkpoint
from hub.labels import log_odds_from_logits
from hub.role import Crop, Modality, Role, Task, Way
from media.rates import AUDIO_HZ

if TYPE_CHECKING:
    from media.tracks import FaceTrack
    from media.windows import Window

LEAST_S = 1.0  # of audio; half of the shortest utterances of ASVspoof 2019 are longer
LEAST_SPEECH_S = 1.0  # in the four seconds that are heard: what a cough cannot reach
LEAST_OWN_S = 0.5  # in the window itself, whose number it becomes


class Voice(Detector):
    """Listens to four seconds of speech around each window."""

    role = Role(
        name="voice",
        title="Voice",
        question="Does the voice sound like a recorded person, or like synthetic speech?",
        blind_to="pictures, synthesizers that its checkpoint has never heard, and a real voice "
        "that was cut or put under other pictures",
        modality=Modality.AUDIO,
        way=Way.VOICE,
        phrase_for="the voice sounds synthetic",
        phrase_against="the voice sounds like a recorded person",
        crop=Crop.FRAME,
        task=Task.AUDIO,
        needs_audio=True,
        audio_s=4.0,
        audio_hz=AUDIO_HZ,
        empty="No checkpoint that judges voices comes with this program; choose one on the tab "
        "Models or by its Hub id.",
    )

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> Any:
        """A transformers audio classifier in evaluation mode on the device."""
        from detectors.loading import load_audio_classifier

        return load_audio_classifier(checkpoint).to(device).eval()

    def measure(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Raw log-odds of the four seconds around the window, where somebody speaks in them."""
        from detectors.inference import inference, moved
        from media.speech import speech_stretches

        card, audio = self.checkpoint.card, window.wide_audio
        if audio is None or len(audio) < LEAST_S * AUDIO_HZ:
            return Measurement.cannot("audio_too_short")
        spoken_s = float(sum(stop - start for start, stop in speech_stretches(audio, 0.0)))
        measures = {"speech_s": spoken_s}
        own_s = float((window.speech_s[:, 1] - window.speech_s[:, 0]).sum())
        if spoken_s < LEAST_SPEECH_S or own_s < min(LEAST_OWN_S, spoken_s):
            return Measurement.cannot("no_speech", measures)
        with inference(self.device):
            given = moved(to_audio_input(audio, card), self.device)
            logits = self.network(input_values=given).logits
        numbers = logits.float().cpu().numpy()
        raw = log_odds_from_logits(numbers, card.fake_indices, card.real_indices)
        return Measurement(float(raw[0]), measures=measures)
