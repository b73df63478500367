"""No secret of a run leaves its worker in words: not in its output, its logs, its states, nor the worker's own log."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.worker.infra.process import ProcessInfrastructure
from headgate.worker.masking import MASK, SHORTEST, Masking

SECRET = "s3cret \"quoted\" 'ü'\\"


@given(st.lists(st.text(min_size=SHORTEST, max_size=8)), st.text(max_size=20), st.text(max_size=20))
def test_nothing_that_is_masked_is_found_again(secrets: list[str], before: str, after: str) -> None:
    masked = Masking(secrets)
    for secret in secrets:
        for shown in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            told = masked(f"{before}{shown}{after}")
            assert shown not in told.replace(MASK, "") or shown in MASK or shown in f"{before}{after}"
            assert MASK in told


def test_a_text_without_secrets_stays_as_it_is() -> None:
    assert Masking(["s3cret"])("nothing here") == "nothing here"
    assert Masking([])("s3cret") == "s3cret"


def test_the_longest_is_hidden_whole() -> None:
    assert Masking(["abcd", "abcdef"])("xabcdefx abcdx") == f"x{MASK}x {MASK}x"


def test_each_line_of_a_secret_is_hidden_and_what_is_too_short_to_be_one_is_not() -> None:
    masked = Masking(["-----BEGIN-----\nMIIEow\n}\n", "abc"])
    assert masked("got MIIEow } abc") == f"got {MASK} }} abc"
    assert masked("-----BEGIN-----\nMIIEow\n}") == MASK


async def test_a_command_that_prints_its_secret_shows_a_mask(api: Any, work: Any) -> None:
    api.references = {"secrets.token": "s3cret-value"}
    run = api.add_run(command="sh -c 'echo got $TOKEN'", job_variables={"env": {"TOKEN": "{{ headgate.secrets.token }}"}})
    working = work(once=True)
    await working.ended()
    assert run.types == ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]
    assert working.output == [f"got {MASK}"]
    assert f"got {MASK}" in api.messages(run)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"command": "'{{ headgate.secrets.token }}"}, "cannot be read"),
        ({"command": "{{ headgate.secrets.token }}-none"}, "{MASK}"),
        (
            {"stream_output": "{{ headgate.secrets.token }}"},
            "{{ headgate.secrets.token }} stands for breaks the rule 'type'",
        ),
        ({"working_dir": "/none/{{ headgate.secrets.token }}"}, "{MASK}"),
    ],
)
async def test_a_run_that_its_secret_breaks_says_so_without_it(
    api: Any, work: Any, caplog: pytest.LogCaptureFixture, variables: dict[str, Any], said: str
) -> None:
    """Whatever fails with it: the template's schema, the worker type, the operating system."""
    api.references = {"secrets.token": "s3cret-value"}
    run = api.add_run(job_variables=variables)
    await work(once=True).ended()
    assert run.types == ["SCHEDULED", "PENDING", "CRASHED"]
    assert said.replace("{MASK}", MASK) in run.record.state.message
    assert "s3cret" not in run.record.state.message + caplog.text + "".join(api.messages(run))


async def test_a_worker_type_that_fails_with_a_secret_in_hand_is_logged_without_it(
    api: Any, work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Leaky(ProcessInfrastructure):
        async def start(self, job: Any) -> Any:
            raise RuntimeError(f"cannot use {dict(job.env)}")

    api.references = {"secrets.token": SECRET}
    run = api.add_run(job_variables={"env": {"T": "{{ headgate.secrets.token }}"}})
    await work(once=True, infrastructure=Leaky()).ended()
    assert run.types[-1] == "CRASHED"
    assert "RuntimeError: cannot use" in caplog.text
    assert "s3cret" not in run.record.state.message + caplog.text + "".join(api.messages(run))


async def test_a_reference_to_nothing_crashes_its_run_with_what_to_do(api: Any, work: Any) -> None:
    api.add_pool(template={"job_configuration": {"a": "{{ headgate.variables.lost }}"}, "variables": {"properties": {}}})
    run = api.add_run()
    await work(once=True).ended()
    assert run.types == ["SCHEDULED", "PENDING", "CRASHED"]
    assert run.record.state.message == (
        "{{ headgate.variables.lost }}, used at /job_configuration/a, cannot be resolved: there is no variable 'lost'; "
        "`headgate variable set lost VALUE` creates it."
    )
