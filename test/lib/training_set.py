"""A training set from a lake: labels, and the features that were known when each was given.

training_set.py METADATA    the location of the table's metadata.json

Reads the table of the demo by DuckDB alone: no server is asked, nothing of the
extension is used.
"""
import sys

import duckdb
import duckdb_extension_avro
import duckdb_extension_iceberg

LABELS = """
CREATE TABLE labels AS
SELECT user_id, date_trunc('second', now()) - seconds * INTERVAL '1 second' AS labelled_at, bought
  FROM (VALUES ('u42', 0, true), ('u42', 60, false), ('u7', 5, false), ('u1', 10, true), ('u3', 20, false), ('nobody', 0, true))
       AS l (user_id, seconds, bought)"""

# As of: the newest window that had ended and been computed by then.  Training never sees what serving could not.
TRAINING_SET = """
SELECT l.user_id, l.labelled_at, l.bought, f.window_end, f.item_count_30m, f.distinct_items_30m, f.top_category_30m
  FROM labels l LEFT JOIN features f
    ON f.user_id = l.user_id AND f.window_end <= l.labelled_at AND f.available_at <= l.labelled_at
QUALIFY row_number() OVER (PARTITION BY l.user_id, l.labelled_at ORDER BY f.window_end DESC, f.revision DESC) = 1
 ORDER BY l.labelled_at, l.user_id"""


def load_extensions(connection):
    """DuckDB's extensions as PyPI has them; INSTALL would fetch them from DuckDB's own server."""
    for package, name in (duckdb_extension_avro, "avro"), (duckdb_extension_iceberg, "iceberg"):
        connection.execute(f"LOAD '{list(package.__path__)[0]}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'")


def main():
    metadata = sys.argv[1].removeprefix("file://")
    connection = duckdb.connect()
    load_extensions(connection)
    connection.execute(f"CREATE VIEW features AS SELECT * FROM iceberg_scan('{metadata}')")
    connection.execute(LABELS)
    rows, = connection.execute("SELECT count(*) FROM features").fetchone()
    print(f"training set     {rows:,} rows of the lake, read by DuckDB {duckdb.__version__}; labels joined as of their time")
    result = connection.execute(TRAINING_SET)
    lines = [[c[0] for c in result.description]]
    lines += [["-" if v is None else f"{v:%H:%M:%S}" if hasattr(v, "hour") else str(v) for v in row] for row in result.fetchall()]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("    " + "  ".join(v.ljust(w) for v, w in zip(line, widths)).rstrip())


if __name__ == "__main__":
    main()
