"""The text of a page as a person copies it: without tags, style and the language bar."""

from html.parser import HTMLParser

UNSEEN = {"head", "style", "nav"}


class _Visible(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self.unseen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.unseen and self.unseen[-1] == tag:
            self.unseen.pop()
            self.text = self.text.removesuffix("\n")

    def handle_data(self, data: str) -> None:
        if not self.unseen:
            self.text += data


def visible_text(html: str) -> str:
    parser = _Visible()
    parser.feed(html)
    return parser.text.strip("\n") + "\n"
