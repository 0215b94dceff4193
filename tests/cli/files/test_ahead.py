import pytest

from kvot.cli.files import ahead
from kvot.cli.files.reader import UnreadableFile, UsageFile


@pytest.fixture(autouse=True)
def every_file_is_large(monkeypatch):
    monkeypatch.setattr(ahead, "AHEAD_BYTES_MIN", 0)


def told(batches):
    """Everything in batches, so that ranges and lists compare alike."""
    return [(list(map(as_list, columns(batch.rows))), batch.refusals, batch.end_byte) for batch in batches]


def columns(rows):
    return [getattr(rows, name) for name in rows.__slots__]


def as_list(column):
    return None if column is None else list(column)


def test_reading_ahead_gives_what_reading_gives(tmp_path):
    path = tmp_path / "usage.csv"
    rows = "".join(f"17000000{n % 90 + 10},{n},1,m\n" for n in range(20_000))
    path.write_text(f"when,input,output,model\n{rows}x\n")
    file = UsageFile(path, {"at": "when"})
    read = told(file.batches())
    assert len(read) > 1
    assert read[-1][1], "a refusal comes through as well"
    assert told(ahead.batches(file)) == read


def test_a_file_of_which_nothing_can_be_made_is_told_as_when_reading(tmp_path):
    path = tmp_path / "usage.csv"
    path.write_text("colour\nred\n")
    with pytest.raises(UnreadableFile, match="colour"):
        list(ahead.batches(UsageFile(path, {})))


def test_whoever_stops_reading_ends_the_reader(tmp_path):
    path = tmp_path / "usage.csv"
    path.write_text("tokens\n" + "5\n" * 400_000)
    batches = ahead.batches(UsageFile(path, {}))
    next(iter(batches))
    batches.close()  # type: ignore[attr-defined]  # waits for the process: a reader that went on would hang here
