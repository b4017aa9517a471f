"""Do calls made from our own OpenAPI description, right and wrong ones, find no hole?"""

from __future__ import annotations

import json
import re
import urllib.request

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

import app

PATIENCE_S = 60
CALLS = {"/gradio_api/call/v2/analyze", "/gradio_api/call/v2/models", "/gradio_api/call/v2/batch"}


@pytest.fixture(scope="module")
def address():
    blocks = app.build()
    yield app.serve(blocks, wait=False)
    blocks.close()


def described(address: str) -> dict:
    """The description that programs read, in terms of JSON Schema alone."""
    with urllib.request.urlopen(f"{address}gradio_api/openapi.json") as answer:
        text = answer.read().decode()
    return json.loads(re.sub(r'"type":\s*"filepath"', '"type": "object"', text))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_call_ends_in_an_error_of_the_server(address, mode):
    schema = schemathesis.openapi.from_dict(described(address))
    operations = [result.ok() for result in schema.get_all_operations()]
    chosen = [operation for operation in operations if operation.path in CALLS]
    assert {operation.path for operation in chosen} == CALLS
    for operation in chosen:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=20,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def send(case):
            answer = case.call(base_url=address.rstrip("/"), timeout=PATIENCE_S)
            assert answer.status_code < 500, answer.text
            if answer.status_code == 422:
                error = answer.json()["error"]
                assert error["code"] and error["sentence"].endswith(".")

        send()
