"""Avro records by another reader: avro_read.py SCHEMA HEADER-SIZE, records in hex, one a line, on standard input.

Prints each as a line of JSON with sorted keys; what JSON does not have as text (bytes as hex).
"""
import io
import json
import sys

import fastavro


def plain(value):
    return value.hex() if isinstance(value, bytes) else str(value)


schema = fastavro.parse_schema(json.loads(sys.argv[1]))
for line in sys.stdin:
    record = io.BytesIO(bytes.fromhex(line.strip())[int(sys.argv[2]):])
    print(json.dumps(fastavro.schemaless_reader(record, schema), sort_keys=True, default=plain, ensure_ascii=False))
    assert not record.read(), "bytes are left"
