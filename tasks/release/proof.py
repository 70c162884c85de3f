"""Prove by digests that files are as they were published: rows, vectors, titles, indexes, marks of deleted rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from storage.digests import Proof, digests, prove
from storage.errors import TableMissing, faults, words
from storage.tables.mend import ailing
from storage.tables.numbers import lost_numbers
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from storage.tables.tags import tag_versions
from tasks.context import Context
from tasks.release.audit import ANEW, BACK
from tasks.release.checks import Check

__all__ = ["digested", "examine_records", "examine_release", "taken_over"]

NAMED = 3  # faults that a check names
AFTER = "Restore the newer copy, or run `tidemark refresh`: what it publishes takes a number that no release had"
PIN = "`tidemark maintain` sets the tag again where what it kept is whole, else `tidemark refresh --rebuild`"


def digested(store: Store, tables: Mapping[str, int], base: Release | None) -> dict[str, dict[str, str]]:
    """The digests of the files that a release pins; those that its base recorded are taken over unread.

    Args:
        store: The store.
        tables: Table name to version.
        base: The release that it was made from, whose files `taken_over` proved.
    """
    known = {} if base is None else base.digests
    return {name: digests(store, name, version, known.get(name)) for name, version in tables.items()}


def taken_over(context: Context, tables: Mapping[str, int]) -> Iterator[Check]:
    """Prove what a run builds upon, before what it wrote may be published.

    Rows are copied when tables are compacted, rounded or mapped, and vectors when they are used again. What was damaged
    by then would get a digest of its own, and pass for whole ever after.

    Args:
        context: The run; one that makes everything anew takes nothing over.
        tables: What it wrote.
    """
    base = context.base
    if base is None or context.rebuild:
        return
    older = _holder(context.store, tables.keys() - base.tables.keys())  # of a space that a run comes back to
    proof = sum((_proved(context.store, each) for each in (base, older) if each is not None), Proof())
    if base.digests:
        yield Check("files.base", not proof.faults, _told(proof, f"are as release {base.seq} recorded them", ANEW))


def _holder(store: Store, tables: set[str]) -> Release | None:
    """The newest kept release that pins one of some tables."""
    return next((each for each in Releases(store).retained() if tables & each.tables.keys()), None) if tables else None


def examine_release(store: Store, release: Release, *, deep: bool) -> Iterator[Check]:
    """Prove that a release is what was published as it: its record, its tags, and its files.

    Args:
        store: The store.
        release: The release.
        deep: Read every file, not only those that came with it.
    """
    lost = lost_numbers(store, Releases(store).newest)
    bad = f"release {lost} was published and is not in the table of releases: was an older copy of it put back? {AFTER}"
    yield Check("release.newest", not lost, bad if lost else "no run published a later release than the newest")
    bad = f"the record of release {release.seq} was changed after it was published; {BACK}"
    good = "the record is as it was written"
    if release.intact is None:
        good = f"release {release.seq} was published by an older Tidemark, which sealed no record"
    yield Check("release.record", release.intact is not False, bad if release.intact is False else good)
    wrong = list(_tagged(store, release))
    good = f"tag {release.tag} keeps its {len(release.tables)} tables from clean-up"
    detail = f"{'; '.join(wrong)}; {PIN}" if wrong else good
    yield Check("release.pinned", not wrong, detail)
    yield _files(store, release, deep=deep)


def examine_records(store: Store) -> Check:
    """Look whether every table can be read: one that cannot stops commands that have little to do with it."""
    wrong = [f"{name}: {fault}" for name, fault in ailing(store).items()]
    bad = "; ".join(wrong[:NAMED]) + "; `tidemark maintain` sets aside what cannot be read, and says what"
    return Check("store.tables", not wrong, bad if wrong else "every table of the store can be read")


def _files(store: Store, release: Release, *, deep: bool) -> Check:
    if not release.digests:
        told = f"release {release.seq} was published by an older Tidemark, which recorded no digests: rows alone are"
        return Check("release.files", ok=True, detail=f"{told} checked; the next release that is published has them")
    older = None if deep else next((each for each in _retained(store) if each.seq < release.seq), None)
    proof = _proved(store, release, older)
    which = "are as they were published" if deep else "that came with it are as they were published"
    return Check("release.files", not proof.faults, _told(proof, which, BACK))


def _retained(store: Store) -> list[Release]:
    try:
        return Releases(store).retained()
    except faults():  # a tag that cannot be read: what is kept is not known, so everything is proved
        return []


def _proved(store: Store, release: Release, older: Release | None = None) -> Proof:
    spared = {} if older is None else older.digests
    proof = Proof()
    for name, recorded in release.digests.items():
        proof += prove(store, name, release.tables.get(name, 0), recorded, spared.get(name))
    return proof


def _told(proof: Proof, good: str, repair: str) -> str:
    if not proof.faults:
        return f"{proof.files:,} files, {proof.bytes / 1e6:,.1f} MB, {good}"
    more = len(proof.faults) - NAMED
    return "; ".join(proof.faults[:NAMED]) + (f" and {more} more" if more > 0 else "") + f"; {repair}"


def _tagged(store: Store, release: Release) -> Iterator[str]:
    """What is wrong with the tags of a release, without which readers find nothing, or something else."""
    for name, version in release.tables.items():
        try:
            found = tag_versions(store.open(name)).get(release.tag)
        except TableMissing as error:
            yield str(error)
        except faults() as error:  # a tag that cannot be read fails the list of all
            yield f"the tags of {name} cannot be read ({words(error)[:120]})"
        else:
            if found is None:
                yield f"the tag {release.tag} of {name} is gone: clean-up may remove its files"
            elif found != version:
                yield f"the tag {release.tag} of {name} names version {found}, where it was made of {version}"
