"""The bar to beat: the script that an engineer writes in an evening (hash, set difference, merge_insert, delete).

Usage: plain_script.py FOLDER STORE. The encoder is free (a hash), so that everything else is what is timed.
"""

import hashlib
import pathlib
import sys

import lancedb
import numpy as np
import pyarrow as pa

folder, store = pathlib.Path(sys.argv[1]), sys.argv[2]
rows = {}
for path in sorted(folder.rglob("*.md")):
    words = path.read_text().split(" ")
    for start in range(0, len(words), 200):
        text = " ".join(words[start : start + 200])
        rows[hashlib.sha1(f"{path}\0{start}\0{text}".encode()).hexdigest()] = (str(path), text)
DIMENSION = 384
schema = pa.schema(
    [("id", pa.string()), ("path", pa.string()), ("text", pa.string()), ("vector", pa.list_(pa.float32(), DIMENSION))]
)
table = lancedb.connect(store).create_table("chunks", schema=schema, exist_ok=True)
held = set(table.to_lance().to_table(columns=["id"])["id"].to_pylist())
new = [key for key in rows if key not in held]
for at in range(0, len(new), 5_000):
    keys = new[at : at + 5_000]
    seeds = np.array([int(key[:8], 16) for key in keys], dtype=np.uint32)
    vectors = np.sin(np.outer(seeds.astype(np.float32), np.arange(1, DIMENSION + 1, dtype=np.float32)))
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), DIMENSION)
    batch = pa.table([keys, [rows[k][0] for k in keys], [rows[k][1] for k in keys], column], schema=schema)
    table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(batch)
gone = [key for key in held if key not in rows]
for at in range(0, len(gone), 1_000):
    table.delete(f"id IN ({','.join(repr(key) for key in gone[at : at + 1_000])})")
print(f"{len(new)} embedded, {len(gone)} deleted, {table.count_rows()} rows")
