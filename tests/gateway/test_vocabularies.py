"""The tokenizer's vocabularies are OpenAI's, it forgets what it was given, and without it there is no start."""

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from splintr import Tokenizer

from kvot.gateway.vocabularies import REMEMBERED_CHARACTERS_MAX, Vocabulary, open_vocabularies

# The files that OpenAI publishes, by the checksums that its own tokenizer insists on.
PUBLISHED = [
    ("o200k_base", 199_998, "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    ("cl100k_base", 100_256, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
]


@pytest.mark.parametrize(("name", "words", "checksum"), PUBLISHED)
def test_a_vocabulary_is_the_one_that_openai_publishes(name: str, words: int, checksum: str):
    tokenizer = Tokenizer.from_pretrained(name)
    lines = [base64.b64encode(tokenizer.decode_token_bytes(rank)) + b" %d\n" % rank for rank in range(words)]
    assert hashlib.sha256(b"".join(lines)).hexdigest() == checksum


def test_all_vocabularies_are_there():
    assert sorted(open_vocabularies()) == sorted(name for name, _, _ in PUBLISHED)


def test_words_are_forgotten_after_a_while():
    tokenizer = Tokenizer.from_pretrained("cl100k_base")
    vocabulary = Vocabulary(tokenizer)
    new = tokenizer.cache_len
    vocabulary("several words that nobody had said")
    assert tokenizer.cache_len > new
    for _ in range(REMEMBERED_CHARACTERS_MAX // 10_000 + 1):
        vocabulary(" a" * 5_000)
    assert tokenizer.cache_len <= new + 2


# As where the extra was not installed: an import of what is None there fails.
WITHOUT = "import sys; sys.modules['splintr'] = None; from kvot.cli import main; sys.argv[0] = 'kvot'; sys.exit(main())"


def test_an_exact_count_without_the_tokenizer_stops_the_start(tmp_path: Path):
    chosen = {
        "KVOT_OPENAI_API_KEY": "sk-test",
        "KVOT_INPUT_HOLD": "exact",
        "KVOT_DATABASE": f"sqlite:///{tmp_path}/k.db",
    }
    command = [sys.executable, "-c", WITHOUT, "serve", "--port", "0"]
    done = subprocess.run(
        command, env={**os.environ, **chosen}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    assert "pip install -e '.[tokenizer]'" in done.stderr
    assert "Traceback" not in done.stderr
