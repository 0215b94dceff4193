"""What an image counts at a model, by the model's name: OpenAI's published figures, and a bound where there are none.

Its small models count far more for an image than the large ones, as they cost less for a token. Source: OpenAI, "Images
and vision", "Calculating costs" (2026); what it leaves open stands in docs/internals/gateway.md.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import NamedTuple, Protocol

from kvot.gateway.providers.pixels import Pixels, pixels_of

ELSEWHERE_TOKENS, ELSEWHERE_TOKENS_MAX = 2_500, 16_384
"""At a model that is none of OpenAI's: a judgement, and what those of Qwen take by default, the most that we know."""

COMMON = Pixels(1024, 1024)
"""What an image of unknown size is taken to have where a fair guess is asked for, and no bound."""

LOOKED_AT_MAX = 1_500
"""Images of one request whose size is looked for: as many as OpenAI takes. What any more may come to is the most."""

_DETAILS = ("low", "high")
"""Those that change a count."""

_LOW_PATCHES = 256
"""Of 512 by 512 pixels: to that an image is brought at `detail: low`, perhaps also a smaller one."""


class Counted(NamedTuple):
    """tokens: a fair guess. most: no such image counts more."""

    tokens: int
    most: int


class Rule(Protocol):
    """How a model counts an image. `pixels` None: the most that any image comes to."""

    def tokens(self, pixels: Pixels | None, detail: object) -> int: ...


@dataclass(frozen=True, slots=True)
class Tiles:
    """So many tokens for an image, and so many for each square of 512 pixels, once it fits into 2,048 by 2,048 and its
    shorter side is no longer than 768."""

    base: int
    tile: int

    def tokens(self, pixels: Pixels | None, detail: object) -> int:
        return self.base if detail == "low" else self.base + self.tile * _tiles(pixels)


def _tiles(pixels: Pixels | None) -> int:
    if pixels is None:
        return 8
    scale = min(1.0, 2048 / max(pixels))
    scale *= min(1.0, 768 / (min(pixels) * scale))
    across, down = (ceil(round(side * scale, 3) / 512) for side in pixels)
    return across * down


@dataclass(frozen=True, slots=True)
class Patches:
    """So many tokens for each square of 32 pixels; an image with more of them than the budget is made smaller."""

    multiplier: float
    high: int = 1_536
    original: int = 1_536
    """The budget where the request says so, or leaves the choice to the model."""

    def tokens(self, pixels: Pixels | None, detail: object) -> int:
        patches = _LOW_PATCHES if detail == "low" else self.high if detail == "high" else self.original
        if pixels is not None and detail != "low":
            patches = min(patches, ceil(pixels.width / 32) * ceil(pixels.height / 32))
        return ceil(round(patches * self.multiplier, 6))


class Bound:
    """Of a model that nobody knows: the most of all of OpenAI's."""

    def tokens(self, pixels: Pixels | None, detail: object) -> int:
        return max(rule.tokens(pixels, detail) for _, rule in FAMILIES)


_SMALL = Patches(1.62)
FAMILIES: list[tuple[str, Rule]] = [
    ("gpt-4o-mini", Tiles(2_833, 5_667)),
    ("gpt-4.1-mini", _SMALL),
    ("gpt-5-mini", _SMALL),
    ("gpt-5.4-mini", _SMALL),
    ("gpt-5-codex-mini", _SMALL),
    ("gpt-5.1-codex-mini", _SMALL),
    ("gpt-4.1-nano", Patches(2.46)),
    ("gpt-5-nano", Patches(2.46)),
    ("gpt-5.4-nano", Patches(2.46)),
    ("o4-mini", Patches(1.72)),
    # Of these the guide has the budget and no multiplier; 1.2 was measured.
    ("gpt-5.2", _SMALL),
    ("gpt-5.3", _SMALL),
    ("gpt-4o", Tiles(85, 170)),
    ("chatgpt-4o", Tiles(85, 170)),
    ("gpt-4.1", Tiles(85, 170)),
    ("gpt-4.5", Tiles(85, 170)),
    ("gpt-4-turbo", Tiles(85, 170)),
    ("gpt-4-vision", Tiles(85, 170)),
    ("gpt-5", Tiles(70, 140)),
    ("gpt-5.1", Tiles(70, 140)),
    ("o1", Tiles(75, 150)),
    ("o3", Tiles(75, 150)),
    ("computer-use-preview", Tiles(65, 129)),
    ("gpt-5.4", Patches(1.2, 2_500, 10_000)),
    ("gpt-5.5", Patches(1.2, 2_500, 10_000)),
    # From here on an image is not made smaller unless the request says `high`; beyond 30,000 patches it is refused.
    ("gpt-5.6", Patches(1.2, 2_500, 30_000)),
    ("gpt-6", Patches(1.2, 2_500, 30_000)),
]
"""By how a name begins, up to its end or a hyphen; one with `mini` or `nano` in it is of a family that has it, too."""

_SMALL_NAMES = re.compile(r"-(?:mini|nano)(?![a-z])")


class Images:
    """What images count at one model. Nothing is looked for until there is one: most calls have none."""

    __slots__ = ("_counted", "_is_openai", "_model", "_unseen")

    def __init__(self, model: str, *, is_openai: bool) -> None:
        """is_openai: whether a model whose name is not known is one of OpenAI's all the same."""
        self._model = model
        self._is_openai = is_openai
        self._unseen = LOOKED_AT_MAX
        self._counted: dict[tuple[Pixels | None, object], Counted] = {}

    def counted(self, data: object, detail: object = None) -> Counted:
        """`data`: the image's base64 or its URL; anything else: nothing is known of it."""
        rule = _rule_of(self._model) or (_BOUND if self._is_openai else None)
        if rule is None:
            return Counted(ELSEWHERE_TOKENS, ELSEWHERE_TOKENS_MAX)
        pixels = pixels_of(data) if self._unseen > 0 else None
        self._unseen -= 1
        kind = pixels, detail if detail in _DETAILS else None
        if kind not in self._counted:
            self._counted[kind] = _counted(rule, *kind)
        return self._counted[kind]


def _counted(rule: Rule, pixels: Pixels | None, detail: object) -> Counted:
    most = rule.tokens(pixels, detail)
    return Counted(most if pixels is not None else rule.tokens(COMMON, detail), most)


_BOUND = Bound()


@lru_cache(maxsize=1_024)
def _rule_of(model: str) -> Rule | None:
    """A fine-tuned model (`ft:base:owner::id`) counts as its base; a router may name the maker first."""
    name = model.rpartition("/")[2].removeprefix("ft:").partition(":")[0]
    smallness = _SMALL_NAMES.findall(name)
    fitting = (rule for family, rule in FAMILIES if _begins(name, family) and _SMALL_NAMES.findall(family) == smallness)
    return next(fitting, None)


def _begins(name: str, family: str) -> bool:
    return name.startswith(family) and name[len(family) :][:1] in ("", "-")
