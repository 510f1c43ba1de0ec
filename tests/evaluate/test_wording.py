"""Settings and names for people."""

import re

from compoundnet.evaluate.wording import breakable, preprocessing_text, settings
from compoundnet.preprocessing import Preprocessing


def test_settings_are_flat_and_readable() -> None:
    values = {"lr": 1e-3, "ema": None, "flip": True, "sizes": (128, 160), "optimizer": {"name": "adamw"}}
    assert dict(settings(values)) == {
        "lr": "0.001",
        "ema": "–",
        "flip": "yes",
        "sizes": "128, 160",
        "optimizer.name": "adamw",
    }


def test_long_names_break_and_stay_escaped() -> None:
    assert breakable("a_b/<i>.jpg") == "a_<wbr>b/&lt;i&gt;.<wbr>jpg"
    assert re.sub("<wbr>", "", str(breakable("american_pit_bull"))) == "american_pit_bull"


def test_preprocessing_in_words() -> None:
    text = preprocessing_text(Preprocessing(resolution=224)).replace("\u00a0", " ")
    assert "short side to 256 pixels (bicubic), then the centre 224 × 224 pixels" in text
    squash = Preprocessing(resolution=384, crop="squash", crop_fraction=1.0, interpolation="bilinear")
    assert "squashed to 384" in preprocessing_text(squash)
