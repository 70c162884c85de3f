"""Canaries: before a night writes, fixed texts must give the vectors that they gave when the index was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from models.encoder import EncoderFolder, Vectors
from models.probe import CANARY_TEXTS, TOLERANCE, Change, change, kernels
from models.space import Space
from storage.outcome import Outcome
from storage.registry import Registry
from storage.tables.canaries import Canaries, Canary
from storage.tables.vectors import vectors_table
from tasks.build.embed import Pending, find_pending
from tasks.build.reference import reference
from tasks.context import Context
from tasks.stage import stage
from tasks.tally import Preparation
from tasks.verdict import Verdict
from tasks.watch.figures import Family, Figure

__all__ = ["CanaryResult", "canary", "judge", "remember", "unmixed"]

NAME = "canary"
_NOTHING = "nothing that is recorded: look at drivers, at settings of precision and at the environment"


@dataclass(frozen=True)
class CanaryResult:
    """What the canaries say.

    Attributes:
        verdict: Passed, or refused with what changed and what to do.
        change: How far the vectors lie from those of the index; None where there was nothing to compare.
        fresh: What the encoder gives now, to be kept; None where what is kept stays.
        moved: Each library or kernel that is another one now: from what to what.
        texts: How many texts were compared.
    """

    verdict: Verdict = field(default_factory=lambda: Verdict(Outcome.PASSED))
    change: Change | None = None
    fresh: Canary | None = None
    moved: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    texts: int = 0

    @property
    def same(self) -> bool:
        """Whether nothing was found that would mix two kinds of vectors."""
        return self.change is None or self.change.within()

    @property
    def counts(self) -> dict[str, int]:
        """Texts that were compared, and libraries or kernels that changed."""
        return {"texts": self.texts, "moved": len(self.moved)}

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The largest difference of a coordinate, where there was something to compare."""
        if self.change is None:
            return ()
        moved = {name: list(both) for name, both in self.moved.items()}
        detail = {"cosine": self.change.cosine, "tolerance": TOLERANCE, "texts": self.texts, "changed": moved}
        return (Figure(Family.ENCODER, NAME, self.change.difference, detail=detail),)


@stage
def canary(
    context: Context,
    encoder: EncoderFolder,
    pending: Pending,
    libraries: Mapping[str, str],
    *,
    accept: bool = False,
) -> CanaryResult:
    """Ask the encoder for its canaries, before anything is written; a night that embeds nothing opens none.

    Args:
        context: The run, which holds the lease.
        encoder: The encoder of the night.
        pending: What it has to embed.
        libraries: Versions of the libraries that vectors depend on.
        accept: Approve of other vectors, and compare with them from now on.
    """
    if not pending.contents:
        return CanaryResult()
    lost = context.rebuild and bool(Registry(context.store).damage(encoder.space.id))  # its probe may be what is lost
    kept, opened = None if lost else reference(context.store, encoder.space.id), encoder.open()
    texts = CANARY_TEXTS if kept is None else kept.texts
    vectors = opened.encode_documents(texts)
    made_with = {**libraries, **kernels()}  # after the encoder was opened: kernels are asked of what it loaded
    fresh = Canary(CANARY_TEXTS, vectors if texts == CANARY_TEXTS else opened.encode_documents(CANARY_TEXTS), made_with)
    if kept is None:  # a space that is new has no vectors to be mixed with
        return CanaryResult(fresh=fresh)
    # A probe does not say what it was made with; the release that the night starts from nearly does.
    then = kept.made_with or ({} if context.base is None else context.base.code)
    held = Canary(kept.texts, kept.vectors, then, kept.created)
    return judge(encoder.space, held, vectors, fresh, allowed=accept or context.rebuild)


def judge(space: Space, kept: Canary, vectors: Vectors, fresh: Canary, *, allowed: bool = False) -> CanaryResult:
    """Say whether the encoder still gives the vectors that the index was made with.

    Args:
        space: Its space.
        kept: What it gave then.
        vectors: What it gives now for the same texts.
        fresh: What is kept from now on where the other is not.
        allowed: A change is no reason to refuse: somebody approved of it, or everything is embedded anew.
    """
    then, now = kept.made_with, fresh.made_with
    moved = {name: (then[name], now[name]) for name in now if name in then and then[name] != now[name]}
    found = change(kept.vectors, vectors)
    result = CanaryResult(change=found, moved=moved, texts=len(kept.texts))
    if found.within():
        return result if kept.texts == fresh.texts else replace(result, fresh=fresh)
    result = replace(result, fresh=fresh)
    if allowed:
        return result
    return replace(result, verdict=Verdict(Outcome.REFUSED, (_reason(space, kept, result),)))


def unmixed(context: Context, encoder: EncoderFolder, found: CanaryResult, done: Preparation) -> Preparation:
    """What a night that embeds everything anew has to do, where the encoder gives other vectors than it gave.

    Vectors that unfinished runs left may be of either kind: they are dropped, and embedded again.
    """
    if found.same or not context.rebuild:
        return done
    context.store.drop(vectors_table(encoder.space.id))
    return replace(done, pending=find_pending(context, encoder, done.changes))


def remember(context: Context, space: Space, found: CanaryResult, *, published: bool) -> None:
    """Keep what the encoder gives now, where that is to be compared with from now on.

    It is kept before the first of its vectors is. But where a rebuild replaces vectors by others, those that readers
    have count until it is published: else a killed rebuild would let the next night mix both.

    Args:
        context: The run.
        space: Space of the encoder.
        found: What the canaries said.
        published: Whether the run has published.
    """
    replaced = context.rebuild and not found.same
    if found.fresh is not None and published == replaced:
        Canaries(context.store).set(space.id, found.fresh, context.run, context.now)


def _reason(space: Space, kept: Canary, found: CanaryResult) -> str:
    assert found.change is not None  # noqa: S101 - it is what the reason is about
    since = "" if kept.created is None else f" since {kept.created:%Y-%m-%d}"
    changed = ", ".join(f"{name} {then} -> {now}" for name, (then, now) in found.moved.items()) or _NOTHING
    worst = kept.texts[found.change.at]
    return (
        f"the encoder {space.name} gives other vectors than those in the index, from the same files: of {found.texts} "
        f"fixed texts by up to {found.change.difference:.1e} where {TOLERANCE:.0e} is allowed (lowest cosine "
        f"{found.change.cosine:.6f}, most for {worst[:40]!r}). Changed{since}: {changed}. Nothing was embedded. Bring "
        "that back; or embed everything anew with `tidemark refresh --rebuild`, or with another encoder by `tidemark "
        "reembed`; or go on with vectors of both, if so small a difference does not matter: `refresh --accept-encoder`"
    )
