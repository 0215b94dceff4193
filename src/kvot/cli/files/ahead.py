"""Reading a large file in a process of its own, so that one core reads rows while the other counts them.

Threads would not do: reading and counting are both work of the interpreter, which does one thing at a time. The other
process runs `main`, writes batches to a pipe as MessagePack, each after its length, and ends when nobody reads.
"""

import fcntl
import gc
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from kvot.cli.files.fields import parse_map
from kvot.cli.files.reader import FileBatch, UnreadableFile, UsageFile

AHEAD_BYTES_MIN = 8 << 20
"""Files under eight megabytes are read before another process would have started."""

_PIPE_BYTES = 1 << 20
"""What may wait in the pipe: about a batch, so that neither process waits for the other. Linux grants it to anybody."""

_LENGTH_BYTES = 4

_START = f"""import json, sys
sys.path[:] = json.loads(sys.argv[1])
from {__name__} import main
main(*sys.argv[2:])"""
"""The other process finds modules where this one does, however that came about."""


class _Frame(msgspec.Struct, array_like=True):
    """A batch, or why there will be none."""

    batch: FileBatch | None = None
    fault: str | None = None


_DECODER = msgspec.msgpack.Decoder(_Frame)
_ENCODER = msgspec.msgpack.Encoder(enc_hook=list)  # a range is the only value of ours that it does not know


def batches(file: UsageFile) -> Iterator[FileBatch]:
    """The batches of a file, read ahead where that pays. Raises what `UsageFile.batches` raises."""
    return _read_ahead(file) if file.bytes >= AHEAD_BYTES_MIN else file.batches()


def _read_ahead(file: UsageFile) -> Iterator[FileBatch]:
    pairs = [f"{name}={column}" for name, column in file.mapping.items()]
    command = [sys.executable, "-c", _START, json.dumps(sys.path), str(file.path), *pairs]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pipe = process.stdout
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # a small pipe is slower, not wrong
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        while header := pipe.read(_LENGTH_BYTES):
            frame = _DECODER.decode(pipe.read(int.from_bytes(header, "big")))
            if frame.batch is None:
                raise UnreadableFile(frame.fault)
            yield frame.batch
    if process.returncode:
        raise UnreadableFile(f"Reading ended early (exit code {process.returncode}).")


def write(file: UsageFile, pipe: BinaryIO) -> None:
    """The other side."""
    try:
        for batch in file.batches():
            _write_frame(pipe, _Frame(batch))
    except (UnreadableFile, OSError) as error:
        if isinstance(error, BrokenPipeError):  # nobody reads any more
            raise
        _write_frame(pipe, _Frame(fault=str(error)))


def _write_frame(pipe: BinaryIO, frame: _Frame) -> None:
    data = _ENCODER.encode(frame)
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
    pipe.flush()


def main(path: str, *pairs: str) -> None:
    """What the other process does."""
    gc.disable()  # batches hold no cycles, and looking for some takes longer than reading
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever counts; it stops reading, which ends us
    with suppress(BrokenPipeError):
        write(UsageFile(Path(path), parse_map(pairs)), sys.stdout.buffer)
    with suppress(BrokenPipeError):
        sys.stdout.close()
