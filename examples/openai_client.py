"""OpenAI's own client against `cocoon api`: a streamed answer, a transcript, and what they cost.

cocoon api --home buyer                               # in another terminal
pip install openai
python examples/openai_client.py http://127.0.0.1:8646/v1 "$(cat buyer/api.key)" note.ogg
"""

import sys
from pathlib import Path

import openai

base_url, key, recording = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=2)
try:
    model = client.models.list().data[0].id
    with client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "List three fruits."}],
        max_tokens=64,  # with the prices of whoever is chosen: what it can cost at most
        temperature=0,
        stream=True,
    ) as stream:
        for chunk in stream:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
    print(f"\npaid {chunk.cocoon['paid_nanoton']} nanoton")  # also: provider, receipts
    said = client.audio.transcriptions.create(model="whisper-tiny.en", file=Path(recording))
    print(said.text)
except openai.APIStatusError as error:  # 402: `cocoon api --spend-max` is reached, or no money
    sys.exit(f"{error.status_code}: {error.message}")
