"""`python -m benches [question …]`: measure and print. A question that cannot be asked here says what it needs."""

import sys

from benches import formats, gateway, http_usage, import_rows, postgres, upstream, usage_scaling
from benches.report import print_machine

QUESTIONS = {
    "usage": usage_scaling.measure,
    "import": import_rows.measure,
    "http": http_usage.measure,
    "formats": formats.measure,
    "postgres": postgres.measure,
    "upstream": upstream.measure,
    "gateway": gateway.measure,
}


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in QUESTIONS]:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(QUESTIONS)}", file=sys.stderr)
        return 2
    print_machine()
    for name in names or QUESTIONS:
        print(f"{name}: {(QUESTIONS[name].__doc__ or '').splitlines()[0]}")
        for ratio in QUESTIONS[name]():
            ratio.print()
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
