"""What producers do with a schema registry: registry_client.py URL COMMAND ...

ready                                          exits with 0 when the registry answers
serialize SUBJECT SCHEMA [NAME=SUBJECT ...]    registers the schema and prints the records on standard input
                                               (JSON, one a line) as Confluent's serializer writes them, in hex;
                                               NAME: a type that the newest schema of that subject defines
deserialize                                    prints the records on standard input (in hex, one a line) as Confluent's
                                               deserializer reads them, as JSON
"""
import io
import json
import sys

import fastavro
import requests
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext


def frame_with_references(client, url, subject, schema, references, records):
    """The client of this version knows no references: its framing, and another writer of Avro."""
    named, known = {}, []
    for reference in references:
        name, other = reference.split("=")
        newest = client.get_latest_version(other)
        fastavro.parse_schema(json.loads(newest.schema.schema_str), named)
        known.append({"name": name, "subject": other, "version": newest.version})
    answer = requests.post(f"{url}/subjects/{subject}/versions", timeout=120,
                           json={"schema": schema, "schemaType": "AVRO", "references": known})
    answer.raise_for_status()
    parsed = fastavro.parse_schema(json.loads(schema), named)
    for record in records:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, record)
        yield b"\0" + answer.json()["id"].to_bytes(4, "big") + out.getvalue()


def serialize(url, subject, schema, *references):
    client = SchemaRegistryClient({"url": url})
    records = [json.loads(line) for line in sys.stdin]
    if references:
        framed = frame_with_references(client, url, subject, schema, references, records)
    else:
        serializer = AvroSerializer(client, schema, conf={"subject.name.strategy": lambda context, name: subject})
        framed = (serializer(record, SerializationContext("topic", MessageField.VALUE)) for record in records)
    for data in framed:
        print(data.hex())


def deserialize(url):
    deserializer = AvroDeserializer(SchemaRegistryClient({"url": url}))
    for line in sys.stdin:
        record = deserializer(bytes.fromhex(line), SerializationContext("topic", MessageField.VALUE))
        print(json.dumps(record, sort_keys=True, default=str))


if __name__ == "__main__":
    if sys.argv[2] == "ready":
        try:
            sys.exit(0 if requests.get(sys.argv[1] + "/subjects", timeout=5).ok else 1)
        except requests.RequestException:
            sys.exit(1)
    {"serialize": serialize, "deserialize": deserialize}[sys.argv[2]](sys.argv[1], *sys.argv[3:])
