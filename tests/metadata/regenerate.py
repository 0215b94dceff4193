"""Write the golden files anew: `python -m tests.metadata.regenerate`. Then read the difference."""

from tests.metadata.golden import FOLDER, texts


def main() -> None:
    current = dict(texts())
    for path in FOLDER.rglob("*.txt"):
        if path.relative_to(FOLDER).as_posix() not in current:
            path.unlink()
    for name, text in current.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
