/*
 * redis_script.h
 *		The Lua scripts that run inside Redis.
 *
 * Each is a fixed text; data goes only into KEYS and ARGV.  They make one write
 * atomic with its two guards: the fence (no writer but the newest) and the
 * window end (never back to an older one).
 *
 * The fence is a string that holds the epoch of the newest writer in decimal.
 * Epochs are compared as text, since Lua's numbers are doubles: the longer one
 * is greater, then the one that sorts behind.
 *
 * Errors of Redis inside a script are returned as they are (pcall), so that
 * their first word is the same in all versions.  Ours begin with
 *	FENCED		a newer writer holds the fence; we must not write any more
 *	FENCELOST	the fence is not ours and not newer: the store lost its data
 */
#ifndef FS_ONLINE_REDIS_SCRIPT_H
#define FS_ONLINE_REDIS_SCRIPT_H

/*
 * Takes the fence KEYS[1] for epoch ARGV[1].  Returns 1 when it was ours
 * already, 0 when it was older or not there.  Writes in any case: a server that
 * takes no writes is found out before rows are sent to it.  The fence lasts for
 * ARGV[2] ms more, so that it goes some time after its last writer.
 */
#define FS_REDIS_SCRIPT_CLAIM \
	"local held = redis.pcall('GET', KEYS[1])\n" \
	"local mine = ARGV[1]\n" \
	"if type(held) == 'table' then return held end\n" \
	"if held and (#held > #mine or (#held == #mine and held > mine)) then\n" \
	"  return redis.error_reply('FENCED by epoch ' .. held)\n" \
	"end\n" \
	"local done = redis.pcall('SET', KEYS[1], mine, 'PX', ARGV[2])\n" \
	"if done.err then return done end\n" \
	"return held == mine and 1 or 0\n"

/* What both scripts below begin with: KEYS[1] row, KEYS[2] fence, ARGV[1] epoch, ARGV[2] window end. */
#define FS_REDIS_SCRIPT_GUARD \
	"local key, mine = KEYS[1], ARGV[1]\n" \
	"local held = redis.pcall('GET', KEYS[2])\n" \
	"if held ~= mine then\n" \
	"  if type(held) == 'table' then return held end\n" \
	"  if held and (#held > #mine or (#held == #mine and held > mine)) then\n" \
	"    return redis.error_reply('FENCED by epoch ' .. held)\n" \
	"  end\n" \
	"  return redis.error_reply('FENCELOST the fence is gone')\n" \
	"end\n" \
	"local stored = redis.pcall('HGET', key, 'window_end')\n" \
	"if type(stored) == 'table' then return stored end\n" \
	"stored = stored and tonumber(stored)\n" \
	"if stored and stored > tonumber(ARGV[2]) then return 0 end\n"

/*
 * Replaces the hash by the fields ARGV[4..], to expire in ARGV[3] ms.  Returns
 * 1, or 0 when the store has a newer row.  HSET goes first, since Redis lets a
 * script that has already written (by DEL) pass its memory limit; fields of the
 * old row that the new one has not are rare, and only then is it made anew.
 */
#define FS_REDIS_SCRIPT_PUT \
	FS_REDIS_SCRIPT_GUARD \
	"local done = redis.pcall('HSET', key, unpack(ARGV, 4))\n" \
	"if type(done) == 'table' then return done end\n" \
	"if redis.call('HLEN', key) > (#ARGV - 3) / 2 then\n" \
	"  redis.call('DEL', key)\n" \
	"  redis.call('HSET', key, unpack(ARGV, 4))\n" \
	"end\n" \
	"redis.call('PEXPIRE', key, ARGV[3])\n" \
	"return 1\n"

/* Deletes the hash.  Returns 1, or 0 when the store has a newer row. */
#define FS_REDIS_SCRIPT_DEL \
	FS_REDIS_SCRIPT_GUARD \
	"local done = redis.pcall('DEL', key)\n" \
	"if type(done) == 'table' then return done end\n" \
	"return 1\n"

#endif							/* FS_ONLINE_REDIS_SCRIPT_H */
