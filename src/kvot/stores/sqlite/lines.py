"""Lines of the rollup: one is a company's, hour's, combination's and source's."""

from kvot.stores.sqlite.connection import Tx

_PUT = """INSERT INTO rollup VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    events = events + excluded.events, tokens = tokens + excluded.tokens,
    input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens"""

Key = tuple[int, int, int, int]
"""Company's number, hour, number of the combination, source."""


def count(tx: Tx, key: Key, tokens: int, input_tokens: int, output_tokens: int) -> None:
    """Add an event to its line, which the operations of a transaction share: it is written by `flush`."""
    line = tx.lines.get(key)
    if line is None:
        tx.lines[key] = [1, tokens, input_tokens, output_tokens]
        return
    line[0] += 1
    line[1] += tokens
    line[2] += input_tokens
    line[3] += output_tokens


def put(tx: Tx, lines: dict[Key, list[int]]) -> None:
    """Events, tokens, input and output tokens, added to what the lines have."""
    tx.executemany(_PUT, sorted([(*key, *line) for key, line in lines.items()]))
