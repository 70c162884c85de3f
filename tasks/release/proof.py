"""Prove by digests that files are as they were published: rows, vectors, titles, indexes, marks of deleted rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from storage.digests import Digests, Proof, digests, kept, prove
from storage.errors import TableMissing, faults, words
from storage.hashing import digest
from storage.tables.mend import ailing
from storage.tables.numbers import lost_numbers
from storage.tables.origins import Origins
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from storage.tables.tags import tag_versions
from tasks.context import Context
from tasks.release.audit import ANEW, BACK
from tasks.release.checks import Check

__all__ = ["digested", "due", "examine_records", "examine_release", "taken_over", "trusted"]

NAMED = 3  # faults that a check names
NIGHTS = 7  # releases within which every file is proved
BASE = "files.base"  # the check that says what was proved of the release before
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


def trusted(context: Context) -> Mapping[str, int]:
    """The tables whose files a run need not look into again, for digests prove them; none where there are none."""
    base = context.base
    return {} if base is None or context.rebuild else base.tables if base.digests else {}


def taken_over(context: Context, tables: Mapping[str, int], origins: Origins | None = None) -> Iterator[Check]:
    """Prove what a run builds upon, before what it wrote may be published.

    Rows are copied when tables are compacted, rounded or mapped, texts when they are cut anew, vectors when they are
    used again, and an index is computed from vectors and texts. What was damaged by then would get a digest of its own,
    and pass for whole ever after. So this holds: **whatever a file with a new digest was made of, was proved in the
    same night.** A file of the base release is left unread only where all of this is true:

    - it holds rows: manifests, marks of deleted rows and indexes, which the next ones are made from, are always read;
    - the tables to be published have it too, under the same name: compaction and another table leave files behind;
    - the run copied nothing out of it, and no part of an index that is new covers its rows;
    - the release before the base had it with the same digest, so that an earlier night proved it;
    - it is another night's turn: each file comes once in NIGHTS releases.

    What is left unread keeps the digest that it had. So damage to it is seen when its turn comes, when something is
    made of it, and by a deep audit at any time.

    Args:
        context: The run; one that makes everything anew takes nothing over.
        tables: What it wrote.
        origins: The files out of which it was written; None where it may have been any of the base release.
    """
    base, store = context.base, context.store
    if base is None or context.rebuild:
        return
    spared = {} if origins is None else _spared(store, base, tables, origins)
    proof = _proved(store, base, spared) + _elsewhere(store, base, tables, origins)
    if base.digests:
        others = sum(map(len, spared.values()))
        good = f"are as release {base.seq} recorded them"
        if others:
            good += f"; {others:,} that are older and stay are read in turn, each within {NIGHTS} releases"
        yield Check(BASE, not proof.faults, _told(proof, good, ANEW))


def _spared(store: Store, base: Release, tables: Mapping[str, int], origins: Origins) -> dict[str, Digests]:
    """The files of a base release that need not be read tonight, with what is recorded of them."""
    line = _line(store, base)
    if len(line) < 2:  # nothing says what is older
        return {}
    before, spared = line[1], dict[str, Digests]()
    for name in base.digests.keys() & tables.keys():
        recorded, known, version = base.digests[name], before.digests.get(name, {}), base.tables[name]
        files = kept(store, name, tables[name], version) - origins.files.get((name, version), frozenset())
        older = (file for file in files & recorded.keys() if known.get(file) == recorded[file])
        spared[name] = {file: recorded[file] for file in older if not due(file, line)}
    return spared


def _line(store: Store, base: Release) -> list[Release]:
    """A release and the kept ones before it, newest first."""
    return [base, *(each for each in _retained(store) if each.seq < base.seq)]


def due(file: str, line: Sequence[Release]) -> bool:
    """Whether it is the turn of a file, by its name and the numbers of releases alone.

    Each number is a turn: that of the runs upon the release. Where no run proved anything upon one, because the next
    was a rollback or brought a re-ranker alone, or because the number was skipped, its turn comes later beside others.
    """
    last = next((at for at, each in enumerate(line) if _proved_its_base(each)), len(line))
    if last + 1 >= len(line):
        return True
    turns = range(line[last + 1].seq + 1, line[0].seq + 1)
    return any((int(digest(file)[:8], 16) - turn) % NIGHTS == 0 for turn in turns)


def _proved_its_base(release: Release) -> bool:
    checks = release.audit.get("checks", ()) if release.restored is None else ()  # a rollback has those of another
    return any(check["name"] == BASE for check in checks)


def _elsewhere(store: Store, base: Release, tables: Mapping[str, int], origins: Origins | None) -> Proof:
    """Prove what a run took from other releases than its base: vectors of contents that come back."""
    if origins is None:  # the newest kept release that pins a table of a space that the run comes back to
        others = tables.keys() - base.tables.keys()
        older = next((each for each in Releases(store).retained() if others & each.tables.keys()), None)
        return Proof() if older is None else _proved(store, older, {})
    proof = Proof()
    foreign = {at: files for at, files in origins.files.items() if base.tables.get(at[0]) != at[1]}
    retained = Releases(store).retained() if foreign else []
    for (name, version), files in foreign.items():
        holder = next((each for each in retained if each.tables.get(name) == version), None)
        if holder is None:  # staged, and no release's
            continue
        recorded = holder.digests.get(name, {})
        without = {file: wanted for file, wanted in recorded.items() if _other(file, files)}
        proof += prove(store, name, version, recorded, without) if recorded else Proof()
    return proof


def _other(file: str, files: Set[str]) -> bool:
    """Whether a file has no part in reading the rows of some data files: it holds others, or an index."""
    return file not in files and file.startswith(("data/", "_indices/"))


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
    proof = _proved(store, release, {} if older is None else older.digests)
    which = "are as they were published" if deep else "that came with it are as they were published"
    return Check("release.files", not proof.faults, _told(proof, which, BACK))


def _retained(store: Store) -> list[Release]:
    try:
        return Releases(store).retained()
    except faults():  # a tag that cannot be read: what is kept is not known, so everything is proved
        return []


def _proved(store: Store, release: Release, spared: Mapping[str, Digests]) -> Proof:
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
