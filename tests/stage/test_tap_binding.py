"""Taps on texts have a vector for each token."""

from types import SimpleNamespace

import pytest

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.core.inputs.text import Encoding, TextInputs
from kdrun.core.types import DataInfo
from kdrun.stage.tap_binding import bind_taps

ENCODING = Encoding("", size=9, padding=0, mask=None, longest=12, digest="words")
DATA = SimpleNamespace(info=DataInfo(("a", "b"), TextInputs((ENCODING,), length=6), 10))
CONFIG = SimpleNamespace(name="text_cnn", taps=SimpleNamespace(apply_to=lambda roles: roles))
CNN = {"name": "text_cnn", "width": 4, "kernels": [3], "channels": 5, "dropout": 0.0}


def test_a_tap_without_a_vector_for_each_token_is_refused() -> None:
    network = model.build({**CNN, "tokenizer": None, "vectors": None}, DATA.info)
    with pytest.raises(UserError, match=r"convolutions.0' gives \(2, 5, 6\) for 2 texts"):
        bind_taps("student", CONFIG, network, {"tap": "maps.convolutions.0"}, DATA)
    assert bind_taps("student", CONFIG, network, {"tap": "stages[0]"}, DATA).shapes["tap"][1] == 6
