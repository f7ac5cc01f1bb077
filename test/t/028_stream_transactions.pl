
# Streams read and written as tables in all the ways that transactions go: cursors that are held, chains, procedures,
# deferred triggers, several scans and streams, DROP, and changes of where records go.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $kafka = new_kafka();
my $node = new_node('stream_transactions', 'max_worker_processes' => 16);

$kafka->create_topic($_, 2) for qw(clicks others);
$node->safe_psql('postgres', sprintf(q(
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, n int, at timestamptz NOT NULL, part int OPTIONS (field '$partition'), off bigint OPTIONS (field '$offset'))
		SERVER kafka OPTIONS (topic 'clicks', event_time 'at', key 'user_id');
	CREATE FOREIGN TABLE others (user_id text NOT NULL, n int, at timestamptz NOT NULL) SERVER kafka OPTIONS (topic 'others', event_time 'at');
	CREATE SERVER nowhere FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
	CREATE FOREIGN TABLE lost (user_id text NOT NULL, n int, at timestamptz NOT NULL) SERVER nowhere OPTIONS (topic 'lost', event_time 'at');
	INSERT INTO clicks SELECT 'u' || i %% 5, i, '2030-01-01' FROM generate_series(1, 50) i), $kafka->brokers));

sub refusal { return ($node->psql('postgres', $_[0]))[2]; }

# What a stream has of some numbers.
sub has { my ($stream, $where) = @_; return $node->safe_psql('postgres', "SELECT count(*), count(DISTINCT n) FROM $stream WHERE $where"); }

# --- Reading.
my $reader = new_session($node, 'postgres');
is($reader->run('BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT n FROM clicks WHERE n > 0; COMMIT; MOVE ALL IN held') // '', '', 'a cursor is held');
is($reader->run('FETCH 1 IN held; CLOSE held'), '', 'over its transaction, to its end');
is($node->safe_psql('postgres', q(BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT n FROM clicks ORDER BY n; COMMIT; FETCH 2 FROM held; CLOSE held)), "1\n2", 'with all rows');
is($node->safe_psql('postgres', q(BEGIN; DECLARE c SCROLL CURSOR FOR SELECT n FROM clicks ORDER BY n; FETCH 1 FROM c; SAVEPOINT s; FETCH 1 FROM c; ROLLBACK TO s; FETCH 1 FROM c; COMMIT)),
	"1\n2\n3", 'a cursor goes on over savepoints');
query_is($node, 'SELECT count(*), count(b.n) FROM clicks a LEFT JOIN clicks b USING (part, off)', '50|50', 'a stream is joined with itself');
query_is($node, 'SELECT count(*) FROM clicks WHERE n IN (SELECT n FROM clicks WHERE user_id = $$u1$$) AND user_id = $$u1$$', '10', 'and is a subquery');
is($reader->run('BEGIN; DECLARE c CURSOR FOR SELECT n FROM clicks; FETCH 1 FROM c') =~ /^\d+$/ ? 1 : 0, 1, 'a cursor is open');
like(refusal(q(SET lock_timeout = '200ms'; DROP FOREIGN TABLE clicks)), qr/lock timeout/, 'nobody drops the stream under it');
$reader->run('COMMIT');
is($reader->errors, '', 'and it had no error');

# --- Writing.
$node->safe_psql('postgres', q(BEGIN; INSERT INTO clicks VALUES ('chain', 101, '2030-01-01'); COMMIT AND CHAIN; INSERT INTO clicks VALUES ('chain', 102, '2030-01-01');
	ROLLBACK AND CHAIN; INSERT INTO clicks VALUES ('chain', 103, '2030-01-01'); COMMIT));
is(has('clicks', 'n BETWEEN 101 AND 103'), '2|2', 'transactions in a chain are each their own');
$node->safe_psql('postgres', q(
	CREATE PROCEDURE send(n int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. n LOOP
			INSERT INTO clicks VALUES ('procedure', 200 + i, '2030-01-01');
			IF i % 2 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
	END $$;
	CALL send(5)));
is(has('clicks', 'n BETWEEN 201 AND 205'), '3|3', 'a procedure commits some');
$node->safe_psql('postgres', q(
	CREATE TABLE orders (n int);
	CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO clicks VALUES ('trigger', NEW.n, '2030-01-01'); RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();
	INSERT INTO orders VALUES (301);
	BEGIN; INSERT INTO orders VALUES (302), (303); SAVEPOINT s; INSERT INTO orders VALUES (304); ROLLBACK TO s; COMMIT));
is(has('clicks', 'n BETWEEN 301 AND 304'), '3|3', 'deferred triggers write, too');
$node->safe_psql('postgres', q(BEGIN; INSERT INTO others SELECT 'copy', n, at FROM clicks WHERE n <= 50; INSERT INTO clicks VALUES ('both', 401, '2030-01-01'); COMMIT));
is(has('others', 'true') . ' ' . has('clicks', 'n = 401'), '50|50 1|1', 'one stream is written from another, and that as well');
like(refusal(q(SET statement_timeout = '2s'; BEGIN; INSERT INTO lost VALUES ('x', 1, '2030-01-01'); INSERT INTO clicks VALUES ('x', 501, '2030-01-01'); COMMIT)),
	qr/statement timeout/, 'a topic that cannot be written fails the transaction');
is(has('clicks', 'n = 501'), '0|0', 'before the next one is written');
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE short (user_id text NOT NULL, n int, at timestamptz NOT NULL) SERVER kafka OPTIONS (topic 'clicks', event_time 'at');
	BEGIN; INSERT INTO short VALUES ('dropped', 601, '2030-01-01'); DROP FOREIGN TABLE short; COMMIT));
is(has('clicks', 'n = 601'), '1|1', 'what was inserted before a DROP was inserted');

# --- Records go where they did when they were inserted.
$node->safe_psql('postgres', q(BEGIN; INSERT INTO others VALUES ('here', 701, '2030-01-01'); SAVEPOINT s; ALTER SERVER kafka OPTIONS (SET brokers '127.0.0.1:1');
	INSERT INTO others VALUES ('there', 702, '2030-01-01'); ROLLBACK TO s; COMMIT));
is(has('others', 'n > 700'), '1|1', 'though a subtransaction that is rolled back sent elsewhere');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');

done_testing();
