"""What tests do to a Kafka broker: kafka_admin.py BROKERS COMMAND ...

create TOPIC PARTITIONS [CONFIG=VALUE ...]     grow TOPIC PARTITIONS     delete TOPIC
produce TOPIC none|commit|abort CODEC          records on standard input, one a line:
    partition TAB timestamp (ms, or -) TAB key TAB value (x and hex, or - for none) TAB name=hex,...
consume TOPIC                                  all its records, in the same form
"""
import sys
import uuid

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic


def settle(futures):
    for future in futures.values():
        future.result()


def wait_for_partitions(admin, topic, count):
    """A topic is known to all once metadata shows each partition with a leader."""
    while True:
        found = admin.list_topics(topic, timeout=60).topics[topic]
        if found.error is None and sum(p.leader >= 0 for p in found.partitions.values()) == count:
            return


def create(brokers, topic, partitions, *config):
    admin = AdminClient({"bootstrap.servers": brokers})
    settings = dict(c.split("=", 1) for c in config)
    settle(admin.create_topics([NewTopic(topic, int(partitions), 1, config=settings)], operation_timeout=60))
    wait_for_partitions(admin, topic, int(partitions))


def grow(brokers, topic, partitions):
    admin = AdminClient({"bootstrap.servers": brokers})
    settle(admin.create_partitions([NewPartitions(topic, int(partitions))], operation_timeout=60))
    wait_for_partitions(admin, topic, int(partitions))


def delete(brokers, topic):
    admin = AdminClient({"bootstrap.servers": brokers})
    settle(admin.delete_topics([topic], operation_timeout=60))
    while admin.list_topics(topic, timeout=60).topics[topic].error is None:
        pass


def decode(text):
    return None if text == "-" else bytes.fromhex(text[1:])


def produce(brokers, topic, transaction, codec):
    failed = []
    config = {"bootstrap.servers": brokers, "compression.type": codec, "linger.ms": 20, "acks": "all",
              "message.max.bytes": 20000000, "enable.idempotence": True}
    if transaction != "none":
        config["transactional.id"] = str(uuid.uuid4())
    producer = Producer(config)
    if transaction != "none":
        producer.init_transactions(120)
        producer.begin_transaction()
    for line in sys.stdin:
        partition, timestamp, key, value, headers = line.rstrip("\n").split("\t")
        more = {} if timestamp == "-" else {"timestamp": int(timestamp)}
        pairs = [h.split("=", 1) for h in headers.split(",") if h]
        producer.produce(topic, decode(value), decode(key), int(partition),
                         headers=[(n, bytes.fromhex(v)) for n, v in pairs],
                         on_delivery=lambda err, _: err and failed.append(err), **more)
        producer.poll(0)
    if producer.flush(120) > 0:
        sys.exit("records are not delivered")
    if transaction == "commit":
        producer.commit_transaction(120)
    elif transaction == "abort":
        producer.abort_transaction(120)
    if failed:
        sys.exit(str(failed[0]))


def encode(data):
    return "-" if data is None else "x" + data.hex()


def consume(brokers, topic):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": str(uuid.uuid4()), "enable.auto.commit": False,
                         "enable.partition.eof": True, "auto.offset.reset": "error"})
    unread = set(consumer.list_topics(topic, timeout=60).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, p, consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=60)[0])
                     for p in unread])
    while unread:
        message = consumer.poll(120)
        if message is None:
            sys.exit("partitions %s do not end" % unread)
        if message.error() is not None:
            if message.error().code() != KafkaError._PARTITION_EOF:
                sys.exit(str(message.error()))
            unread.discard(message.partition())
            continue
        headers = ",".join("%s=%s" % (name, encode(value)) for name, value in message.headers() or [])
        print(message.partition(), message.timestamp()[1], encode(message.key()), encode(message.value()), headers, sep="\t")
    consumer.close()


if __name__ == "__main__":
    {"create": create, "grow": grow, "delete": delete, "produce": produce, "consume": consume}[sys.argv[2]](sys.argv[1], *sys.argv[3:])
