"""Programs written for OpenAI's API buy from the swarm: real processes, chain and model."""

import json
from pathlib import Path

import httpx
import pytest

HELLO = [{"role": "user", "content": "List three fruits and say one sentence about each."}]


@pytest.fixture(scope="module")
def home(swarm) -> Path:
    return swarm.requester_home("api")


@pytest.fixture(scope="module")
def api(swarm, steady, home):
    with swarm.api(home, "--spend-max", "0.4") as process:
        yield process


@pytest.fixture
def client(api):
    key = Path(api.ready["key_file"]).read_text().strip()
    with httpx.Client(
        base_url=api.ready["base_url"], headers={"Authorization": f"Bearer {key}"}, timeout=60
    ) as client:
        yield client


def ask(client, **fields):
    body = {"model": "SmolLM2-135M-Instruct", "messages": HELLO, "temperature": 0, **fields}
    return client.post("/chat/completions", json=body)


def streamed(client, **fields):
    body = {"model": "SmolLM2-135M-Instruct", "messages": HELLO, "temperature": 0, **fields}
    with client.stream("POST", "/chat/completions", json=body | {"stream": True}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line:
                assert line.startswith("data: ")
                yield line.removeprefix("data: ")


def test_what_is_on_sale_is_listed(client):
    ask(client, max_tokens=1)
    answer = client.get("/models").json()
    assert [model["id"] for model in answer["data"]] == ["SmolLM2-135M-Instruct"]


def test_a_stream_says_the_same_as_a_whole_answer_and_both_are_paid(client, api, home):
    since = api.seen()
    whole = ask(client, max_tokens=40)
    assert whole.status_code == 200, whole.text
    answer = whole.json()
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 40
    assert answer["usage"]["prompt_tokens"] > 10
    assert answer["cocoon"]["paid_nanoton"] > 0
    assert all(Path(each).exists() for each in answer["cocoon"]["receipts"])
    ended = api.wait_for("job_ended", since=since)
    assert ended["paid_nanoton"] == answer["cocoon"]["paid_nanoton"]

    lines = list(streamed(client, max_completion_tokens=40, stream_options={"include_usage": True}))
    assert lines.pop() == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    assert len({chunk["id"] for chunk in chunks}) == 1
    *texts, last, usage = chunks
    assert texts[0]["choices"][0]["delta"]["role"] == "assistant"
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in texts)
    assert text == choice["message"]["content"]
    assert last["choices"][0]["finish_reason"] == "length"
    assert usage["usage"] == answer["usage"]


def test_a_client_that_hangs_up_stops_the_device(client, steady):
    since = steady.seen()
    stream = streamed(client, max_tokens=400)
    next(stream)
    stream.close()
    ended = steady.wait_for("job_ended", since=since)
    assert 0 < ended["output_tokens"] < 400
    assert ask(client, max_tokens=4).status_code == 200


def test_nobody_buys_without_the_key(client):
    for header in ({"Authorization": "Bearer cocoon-wrong"}, {"Authorization": ""}):
        refused = client.get("/models", headers=header)
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("fields", "status", "parameter"),
    [
        ({"tools": [{"type": "function"}]}, 400, "tools"),
        ({"n": 2}, 400, "n"),
        ({"model": "gpt-9"}, 404, "model"),
        ({"max_tokens": -1}, 400, None),
        ({"messages": []}, 400, None),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client, fields, status, parameter):
    refused = ask(client, **fields)
    assert refused.status_code == status
    assert refused.json()["error"]["param"] == parameter
    assert refused.headers["x-should-retry"] == "false"


def test_a_recording_that_is_none_is_refused(client):
    sent = client.post(
        "/audio/transcriptions",
        data={"model": "whisper-tiny.en"},
        files={"file": ("note.ogg", b"not audio")},
    )
    assert (sent.status_code, sent.json()["error"]["param"]) == (400, "file")


def test_the_limit_of_what_may_be_spent_holds(client, api):
    before = ask(client, max_tokens=1).json()["cocoon"]
    assert before["paid_nanoton"] > 0
    refused = ask(client, max_tokens=1000)
    assert refused.status_code == 402
    assert refused.headers["x-should-retry"] == "false"
    assert "--spend-max" in refused.json()["error"]["message"]
    assert ask(client, max_tokens=1).status_code == 200


def test_the_client_of_openai_itself_is_served(api):
    openai = pytest.importorskip("openai", reason="make conformance installs it")
    key = Path(api.ready["key_file"]).read_text().strip()
    with openai.OpenAI(api_key=key, base_url=api.ready["base_url"], max_retries=0) as client:
        assert [m.id for m in client.models.list()] == ["SmolLM2-135M-Instruct"]
        call = {"model": "SmolLM2-135M-Instruct", "messages": HELLO, "max_tokens": 24}
        whole = client.chat.completions.create(temperature=0, **call)
        stream = client.chat.completions.create(temperature=0, stream=True, **call)
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        assert text == whole.choices[0].message.content
        assert whole.usage.completion_tokens == 24
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(n=2, **call)
