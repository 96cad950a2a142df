"""SQL: everyday reading flows, and nothing that changes, reaches out or reveals does, in whatever dialect or spelling."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.risk.sql import assess_sql
from assent.policies.risk.surroundings import Surroundings
from assent.schemas.risk import Level

AROUND = Surroundings(workspace="/projects/shop")
DIALECTS = [None, "postgres", "mysql", "sqlite", "tsql", "oracle", "duckdb"]

READS = [
    "SELECT 1 FROM t a, t b, t c WHERE a.id = b.id AND b.id = c.id",
    "EXPLAIN SELECT * FROM orders WHERE id = 1",
    "EXPLAIN ANALYZE SELECT count(*) FROM orders",
    "EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 1",
    "EXPLAIN (FORMAT JSON) SELECT 1",
    "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM t",
    "EXPLAIN FORMAT=JSON SELECT * FROM t",
    "SHOW TABLES",
    "SHOW DATABASES",
    "SHOW COLUMNS FROM orders",
    "SHOW INDEX FROM orders",
    "SHOW CREATE TABLE orders",
    "SHOW FULL TABLES LIKE 'o%'",
    "SHOW search_path",
    "SHOW server_version",
    "SHOW ALL",
    "SHOW STATUS LIKE 'Threads%'",
    "SHOW VARIABLES LIKE 'max_connections'",
    "SHOW PROCESSLIST",
    "DESCRIBE orders",
    "DESC orders",
    "describe public.orders",
    "PRAGMA foreign_key_list(orders)",
    "PRAGMA database_list",
    "PRAGMA user_version",
    "PRAGMA integrity_check",
    "PRAGMA main.table_info(orders)",
    "PRAGMA journal_mode",
    "SELECT sqlite_version()",
    "SELECT version()",
    "SELECT now()",
    "SELECT CURRENT_DATE",
    "SELECT CURRENT_TIMESTAMP",
    "SELECT current_database(), current_user",
    "SELECT name FROM sqlite_master WHERE type='table'",
    "SELECT sql FROM sqlite_master WHERE name = 'orders'",
    "SELECT * FROM information_schema.columns WHERE table_name = 'orders'",
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY ordinal_position",
    "SELECT relname, n_live_tup FROM pg_stat_user_tables ORDER BY n_live_tup DESC",
    "SELECT * FROM pg_indexes WHERE tablename = 'orders'",
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    "SELECT oid, relname FROM pg_class WHERE relkind = 'r'",
    "SELECT pid, state, query FROM pg_stat_activity WHERE state <> 'idle'",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT indexrelname, idx_scan FROM pg_stat_user_indexes",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint",
    "SELECT TOP 10 * FROM orders",
    "SELECT TOP (5) name FROM sys.tables",
    "SELECT name FROM sys.databases",
    "SELECT [Name], [Order ID] FROM [dbo].[Orders] WHERE [Total] > 10",
    "SELECT `id`, `name` FROM `users` WHERE `id` = 5",
    'SELECT "id", "name" FROM "users"',
    "SELECT * FROM orders LIMIT 10 OFFSET 20",
    "SELECT * FROM orders ORDER BY id OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY",
    "SELECT * FROM orders FETCH FIRST 10 ROWS ONLY",
    "SELECT DISTINCT ON (customer_id) customer_id, total FROM orders ORDER BY customer_id, created_at DESC",
    "SELECT a.id, b.name FROM a LEFT JOIN b ON a.id = b.a_id WHERE b.id IS NULL",
    "SELECT * FROM a RIGHT OUTER JOIN b USING (id)",
    "SELECT * FROM a FULL OUTER JOIN b ON a.id = b.id",
    "SELECT * FROM a CROSS JOIN b",
    "SELECT * FROM a, b WHERE a.id = b.id",
    "SELECT data->>'name' FROM users",
    "SELECT data->'a'->0 FROM t",
    "SELECT data #>> '{a,b}' FROM t",
    "SELECT * FROM t WHERE data @> '{\"a\": 1}'",
    "SELECT * FROM t WHERE tags && ARRAY['x']",
    "SELECT id::text, price::numeric(10,2) FROM products",
    "SELECT CAST(price AS DECIMAL(10,2)) FROM products",
    "SELECT CAST(x AS INTEGER), CONVERT(x, CHAR) FROM t",
    "SELECT date_trunc('month', created_at) AS m, count(*) FROM orders GROUP BY 1 ORDER BY 1",
    "SELECT extract(year FROM created_at) FROM orders",
    "SELECT EXTRACT(DOW FROM TIMESTAMP '2024-01-01 00:00:00')",
    "SELECT created_at + INTERVAL '1 day' FROM orders",
    "SELECT DATE_ADD(created_at, INTERVAL 1 DAY) FROM orders",
    "SELECT DATE_FORMAT(created_at, '%Y-%m') FROM orders",
    "SELECT now() - interval '7 days'",
    "SELECT * FROM orders WHERE created_at > now() - interval '30 days'",
    "SELECT datetime('now', '-1 day')",
    "SELECT DATEDIFF(day, a, b) FROM t",
    "SELECT GROUP_CONCAT(name ORDER BY name SEPARATOR ', ') FROM users",
    "SELECT array_agg(name ORDER BY name) FROM users",
    "SELECT json_agg(row_to_json(t)) FROM (SELECT id FROM x) t",
    "SELECT count(*) FILTER (WHERE status = 'paid') FROM orders",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders",
    "SELECT id, LAG(total, 1) OVER (PARTITION BY c ORDER BY d) AS prev FROM orders",
    "SELECT id, sum(total) OVER w FROM orders WINDOW w AS (PARTITION BY c ORDER BY d ROWS UNBOUNDED PRECEDING)",
    "SELECT NTILE(4) OVER (ORDER BY total), DENSE_RANK() OVER (ORDER BY total) FROM orders",
    "SELECT FIRST_VALUE(x) OVER (ORDER BY y), NTH_VALUE(x, 2) OVER (ORDER BY y) FROM t",
    "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM b",
    "WITH a(x, y) AS (SELECT 1, 2), b(z) AS (SELECT x FROM a) SELECT * FROM b",
    "WITH RECURSIVE tree AS (SELECT id, parent_id FROM c WHERE parent_id IS NULL UNION ALL SELECT c.id, c.parent_id FROM c JOIN tree ON c.parent_id = tree.id) SELECT * FROM tree",
    "WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x",
    "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(id, name)",
    "VALUES (1, 2), (3, 4)",
    "SELECT a FROM t INTERSECT SELECT a FROM u",
    "SELECT a FROM t EXCEPT SELECT a FROM u",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END FROM t",
    "SELECT CASE status WHEN 1 THEN 'a' END FROM t",
    "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)",
    "SELECT * FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.id = t.id)",
    "SELECT * FROM t WHERE a = ANY (SELECT b FROM u)",
    "SELECT * FROM t WHERE id = ANY('{1,2}'::int[])",
    "SELECT * FROM t WHERE name ILIKE '%x%'",
    "SELECT * FROM t WHERE name REGEXP '^a'",
    "SELECT * FROM t WHERE name RLIKE '^a'",
    "SELECT * FROM t WHERE name LIKE '50!%' ESCAPE '!'",
    "SELECT * FROM t WHERE name GLOB 'a*'",
    "SELECT * FROM t WHERE a BETWEEN 1 AND 5 AND b IN ('x','y')",
    "SELECT * FROM t WHERE a IS DISTINCT FROM b",
    "SELECT a || ' ' || b FROM t",
    "SELECT 'it''s', \"x\" FROM t",
    "SELECT -1, +2, 3.5e10, .5",
    "SELECT 1 + 2 * 3",
    "SELECT 5 / 2, 5 % 2, 2 ^ 3",
    "SELECT a & 1, a | 2, a << 1 FROM t",
    "SELECT TRUE AND FALSE",
    "SELECT NULL",
    'SELECT COUNT(*) AS "total rows" FROM t',
    "SELECT t.* FROM t",
    "SELECT schema1.t.a FROM schema1.t",
    "SELECT unnest(ARRAY[1,2,3])",
    "SELECT * FROM unnest(ARRAY[1,2]) AS x",
    "SELECT * FROM generate_series('2024-01-01'::date, '2024-01-31'::date, '1 day') d",
    "SELECT * FROM json_each('{\"a\":1}')",
    "SELECT * FROM jsonb_array_elements('[1,2]'::jsonb) AS x(v)",
    "SELECT * FROM t TABLESAMPLE SYSTEM (10)",
    "SELECT * FROM t CROSS JOIN LATERAL (SELECT * FROM u WHERE u.id = t.id LIMIT 1) x",
    "SELECT a, b, SUM(c) FROM t GROUP BY GROUPING SETS ((a), (b), ())",
    "SELECT a, SUM(c) FROM t GROUP BY CUBE (a, b)",
    "SELECT substr(name, 1, 3), length(name), upper(name), trim(name), replace(name, 'a', 'b') FROM t",
    "SELECT substring(name from 1 for 3), position('a' in name), overlay(name placing 'x' from 1) FROM t",
    "SELECT trim(both ' ' from name), ltrim(name) FROM t",
    "SELECT IFNULL(a, 0), NVL(b, 0), NULLIF(a, b), GREATEST(a, b) FROM t",
    "SELECT round(avg(total), 2), min(total), max(total), stddev(total) FROM orders",
    "SELECT to_char(created_at, 'YYYY-MM-DD') FROM orders",
    "SELECT md5(name), encode(sha256('x'), 'hex') FROM t",
    "SELECT typeof(a), hex(b) FROM t",
    "SELECT IF(a > 1, 'x', 'y') FROM t",
    "SELECT id FROM users WHERE email = 'a@b.c'",
    "SELECT id FROM users WHERE email = ?",
    "SELECT id FROM users WHERE email = %s AND x = :name AND y = $1",
    "SELECT count(*) FROM users; ",
    "SELECT /* c */ 1",
    "SELECT 1 -- done",
    'SELECT * FROM "Order Details"',
    "SELECT u.name, COUNT(o.id) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.name HAVING COUNT(o.id) > 3 ORDER BY 2 DESC NULLS LAST LIMIT 5",
    "SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty FROM lineitem WHERE l_shipdate <= date '1998-12-01' - interval '90' day GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag",
    "SELECT s_acctbal, s_name FROM part, supplier, partsupp, nation, region WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND p_type LIKE '%BRASS'",
    'SELECT comment, load, status, type, value, key, date, timestamp, order_date, "order" FROM t',
    "SELECT user_id, role, password_changed_at FROM users",
    "SELECT update_count, insert_time, deleted_at, created_by FROM t",
    "SELECT replace(a, 'x', 'y') FROM t",
    "SELECT COUNT(*) FROM deletes",
    "SELECT call_id FROM calls",
    "SELECT date(created_at), time(created_at) FROM t",
    "SELECT a FROM t WHERE b = 'DROP TABLE x; --'",
    "SELECT 'a;b'",
    "SELECT * FROM t WHERE c = 'don''t'",
    "SELECT COLUMN_NAME FROM ALL_TAB_COLUMNS WHERE TABLE_NAME = 'ORDERS'",
    "SELECT ROWNUM, x FROM t",
    "SELECT SYSDATE FROM dual",
    "SELECT LISTAGG(name, ',') WITHIN GROUP (ORDER BY name) FROM t",
    "SELECT APPROX_COUNT_DISTINCT(x) FROM t",
    "SELECT STRUCT(1 AS a)",
    "SELECT SAFE_DIVIDE(a, b) FROM `proj.ds.t`",
    "SELECT * FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) = 1",
    "SELECT toStartOfMonth(d), uniq(x) FROM t GROUP BY 1",
    "SELECT @@version",
    "SELECT to_tsvector('english', body) @@ to_tsquery('cat') FROM docs",
    "SELECT MATCH(title) AGAINST('x' IN BOOLEAN MODE) FROM docs",
    "SELECT * FROM docs WHERE docs MATCH 'cat'",
    "SELECT x.id FROM t x WHERE (x.a, x.b) = (1, 2)",
    "SELECT a FROM t ORDER BY a COLLATE NOCASE",
    "SELECT a AT TIME ZONE 'UTC' FROM t",
    "SELECT COUNT(DISTINCT a), SUM(DISTINCT b) FROM t",
    "SELECT MAX(id) + 1 AS next_id FROM t",
    "TABLE orders",
    "SELECT pg_size_pretty(pg_database_size(current_database()))",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM dbstat",
    "SELECT ST_Distance(a, b) FROM t",
    "SELECT EXISTS(SELECT 1 FROM t WHERE id = 3)",
    "SELECT ARRAY(SELECT id FROM t)",
    "SELECT (SELECT max(id) FROM t) AS m",
    "SELECT * FROM t1 JOIN t2 ON t1.a = t2.a JOIN t3 ON t2.b = t3.b WHERE t1.c > ALL (SELECT c FROM t4)",
    "SELECT strftime('%s','now')",
    "SELECT last_insert_rowid()",
    "SELECT ascii('a'), chr(97), lpad('1', 5, '0')",
    "SELECT repeat('-', 10)",
    "SELECT u.id FROM users u WHERE u.created_at >= CURDATE() - INTERVAL 7 DAY",
    "SELECT YEAR(d), MONTH(d), DAYNAME(d) FROM t",
    "SELECT SUM(CASE WHEN status='x' THEN 1 ELSE 0 END) AS n FROM t",
    "SELECT regexp_replace(name, '\\s+', ' ', 'g') FROM t",
    "SELECT name FROM t WHERE name ~* 'abc' AND name !~ 'x'",
    "SELECT format('%s-%s', a, b) FROM t",
    "SELECT concat_ws('-', a, b) FROM t",
    "SELECT string_to_array('a,b', ',')",
    "SELECT ROW(1,2)",
    "SELECT a[1], b[1:2] FROM t",
    "SELECT * FROM orders WHERE total > (SELECT AVG(total) FROM orders)",
]

RISKY = [
    "SELECT count(*) FROM t a, t b, t c WHERE 1 = 1",
    "SELECT count(*) FROM t a CROSS JOIN t b CROSS JOIN t c",
    "SELECT * FROM glob('/etc/*')",
    "SELECT system('id')",
    "SELECT * FROM system('id')",
    "SELECT apply('x')",
    "SELECT * FROM t@remote",
    "SELECT * FROM server1.db.dbo.t",
    "SELECT * FROM duckdb_secrets()",
    "SELECT getenv('HOME')",
    "SELECT * FROM TABLE(x.system.query('delete from t'))",
    "SELECT * FROM EXTERNAL_QUERY('c', 'DELETE FROM t')",
    "TABLE pg_shadow",
    "TABLE t; DROP TABLE x",
    "EXPLAIN DELETE FROM users",
    "EXPLAIN ANALYZE UPDATE t SET a = 1",
    "EXPLAIN /* select 1 */ DELETE FROM t",
    "WITH d AS (DELETE FROM users RETURNING *) SELECT * FROM d",
    "WITH x AS (UPDATE t SET a=1 RETURNING a) SELECT * FROM x",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t FOR SHARE",
    "SELECT * FROM t LOCK IN SHARE MODE",
    "SELECT * FROM t FOR UPDATE SKIP LOCKED",
    "SELECT pg_sleep(10)",
    'SELECT "pg_sleep"(10)',
    "SELECT pg_catalog.pg_sleep(10)",
    'SELECT pg_catalog . "pg_sleep" (10)',
    "SELECT PG_SLEEP/**/(10)",
    "SELECT sleep(5)",
    "SELECT `sleep`(5)",
    "SELECT SLEEP /* x */ (5)",
    "SELECT BENCHMARK(100000000, MD5('a'))",
    "SELECT load_file('/etc/passwd')",
    "SELECT LOAD_FILE(0x2f6574632f706173737764)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('x')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/x')",
    "SELECT nextval('s')",
    "SELECT setval('s', 1)",
    "SELECT s.NEXTVAL FROM dual",
    "SELECT NEXT VALUE FOR s",
    "SELECT set_config('x', 'y', false)",
    "SELECT pg_terminate_backend(1)",
    "SELECT pg_advisory_lock(1)",
    "SELECT get_lock('a', 10)",
    "SELECT query_to_xml('delete from t', true, true, '')",
    "SELECT * FROM dblink('host=x', 'select 1') AS t(a int)",
    "SELECT * FROM t, dblink('x', 'y') AS (a int)",
    "SELECT * FROM t, dblink(a, b) AS (a int)",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('x', 'y')",
    "SELECT load_extension('x')",
    "SELECT edit('x')",
    "ATTACH DATABASE 'x.db' AS y",
    "DETACH DATABASE y",
    "PRAGMA writable_schema = ON",
    "PRAGMA journal_mode = WAL",
    "PRAGMA journal_mode(WAL)",
    "PRAGMA optimize",
    "PRAGMA wal_checkpoint",
    "PRAGMA user_version(5)",
    "PRAGMA table_info(t); DROP TABLE t",
    "PRAGMA key = 'x'",
    "PRAGMA temp_store_directory = '/x'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('x.csv')",
    "SELECT * FROM read_parquet('s3://x/y')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'data.csv'",
    'SELECT * FROM "data.csv"',
    "SELECT * FROM `/etc/passwd`",
    'SELECT * FROM "s3://x/y.parquet"',
    "SELECT * FROM a, '/etc/passwd'",
    "SELECT * FROM file('/etc/passwd')",
    "SELECT * FROM url('http://x', CSV)",
    "SELECT * FROM s3('http://x')",
    "SELECT * FROM mysql('h:3306', 'd', 't', 'u', 'p')",
    "SELECT * FROM OPENROWSET('SQLNCLI', 'x', 'select 1')",
    "SELECT * FROM numbers(10000000000)",
    "SELECT utl_http.request('http://x') FROM dual",
    "SELECT dbms_pipe.receive_message('a', 10) FROM dual",
    "SELECT xp_cmdshell('x')",
    "EXEC xp_cmdshell 'dir'",
    "EXEC sp_configure 'x', 1",
    "SELECT 1 EXEC xp_cmdshell 'dir'",
    "SELECT 1 DROP TABLE users",
    "SELECT 1 SHUTDOWN",
    "SELECT 1 x SHUTDOWN",
    "SELECT 1 AS x DROP TABLE users",
    "SELECT * FROM t WAITFOR DELAY '0:0:5'",
    "SELECT * FROM t WHERE 1=1 WAITFOR DELAY '0:0:5'",
    "SELECT 1; WAITFOR DELAY '0:0:5'",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_catalog.pg_authid",
    'SELECT * FROM "pg_shadow"',
    "SELECT rolpassword FROM pg_authid",
    "SELECT * FROM PG_SHADOW",
    "SELECT * FROM mysql.user",
    "SELECT * FROM `mysql`.`user`",
    "SELECT * FROM mysql . user",
    "SELECT authentication_string FROM mysql.user",
    "SELECT * FROM mysql.db",
    "SELECT * FROM sys.sql_logins",
    "SELECT * FROM master..syslogins",
    "SELECT password_hash FROM sys.sql_logins",
    "SELECT * FROM sys.user$",
    "SELECT name, password FROM dba_users",
    "SELECT * FROM system.users",
    "SELECT username, password FROM users",
    "SELECT password_hash FROM accounts",
    "SELECT api_key FROM t",
    "SELECT * FROM api_keys",
    "SELECT * FROM user_secrets",
    "SELECT token FROM sessions",
    "SELECT 1 /*!50000 UNION SELECT 2 */",
    "SELECT /*!32302 1/0, */ 1",
    "SELECT 1 /*!; DROP TABLE x*/",
    "SELECT 1 /*M! ; DROP TABLE x */",
    "SELECT /*+ SET_VAR(x=1) */ 1",
    "SELECT 1 /* /* */ ; DROP TABLE x; */ */",
    "SELECT 1 -- x\n; DROP TABLE x",
    "SELECT '\\'; DROP TABLE x; --'",
    'SELECT "\\"; DROP TABLE x; --"',
    "SELECT 'a\\\\'; DROP TABLE x; --'",
    "SELECT $$a$$; DROP TABLE x",
    "SELECT $a$ ' $a$; DROP TABLE x; --'",
    "SELECT E'\\''; DROP TABLE x; --'",
    "SELECT q'[ ' ]'; DROP TABLE x --'",
    "SELECT * FROM t --(pg_sleep(10))",
    "SELECT @a := 1",
    "SET @a = 1",
    "SELECT 1 INTO @a",
    "SELECT * FROM t INTO DUMPFILE '/x'",
    "SELECT 1 FROM t PROCEDURE ANALYSE()",
    "CALL p()",
    "DO $$ BEGIN END $$",
    "DO SLEEP(5)",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "USE mysql",
    "SET GLOBAL x = 1",
    "SET ROLE admin",
    "RESET ALL",
    "ANALYZE t",
    "ANALYZE TABLE t",
    "OPTIMIZE TABLE t",
    "FLUSH PRIVILEGES",
    "KILL 5",
    "SHUTDOWN",
    "LOCK TABLES t WRITE",
    "INSERT INTO t VALUES (1)",
    "REPLACE INTO t VALUES (1)",
    "INSERT INTO t SELECT * FROM u",
    "UPSERT INTO t VALUES (1)",
    "TRUNCATE t",
    "TRUNCATE TABLE t",
    "ALTER SYSTEM SET x = 'y'",
    "CREATE USER x",
    "CREATE FUNCTION f() RETURNS int AS 'x' LANGUAGE c",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TABLE t AS SELECT 1",
    "CREATE INDEX i ON t (a)",
    "CREATE TRIGGER t AFTER INSERT ON x BEGIN DELETE FROM y; END",
    "GRANT ALL ON t TO x",
    "COMMENT ON TABLE t IS 'x'",
    "NOTIFY c",
    "PREPARE p AS DELETE FROM t",
    "DEALLOCATE p",
    "EXECUTE p",
    "DECLARE c CURSOR FOR SELECT 1",
    "FETCH ALL FROM c",
    "COPY (SELECT 1) TO PROGRAM 'sh'",
    "COPY t TO '/tmp/x'",
    "COPY t TO STDOUT",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
    "SELECT * FROM t UNION SELECT * FROM pg_shadow",
    "SELECT * FROM t WHERE id = (SELECT pg_sleep(5))",
    "SELECT CASE WHEN 1=1 THEN pg_sleep(5) END",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM r) SELECT count(*) FROM r",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM r WHERE n < 100000000000) SELECT count(*) FROM r",
    "SELECT repeat('a', 1000000000)",
    "SELECT rpad('a', 999999999, 'b')",
    "SELECT randomblob(1000000000)",
    "SELECT zeroblob(1000000000)",
    "SELECT count(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c",
    "SELECT count(*) FROM generate_series(1, 1000000), generate_series(1, 1000000)",
    "SELECT generate_series(1, 100000*100000)",
    "SELECT xmltype('<x/>') FROM dual",
    "SELECT extractvalue(1, concat(0x7e, version()))",
    "SELECT evil_function(1)",
    "SELECT schema1.evil(1)",
    "SELECT lower.evil(1)",
    "SELECT * FROM evil(1)",
    "SELECT * FROM t WHERE evil(a)",
    'SELECT "lower".x(1)',
    "\\copy t to 'x'",
    "\\! sh",
    ".shell ls",
    ".read x",
    ".import x y",
    "SELECT 1\\g |sh",
    "SELECT 1 \\gexec",
    "GO",
    "SELECT 1\nGO\nDROP TABLE x",
    "HANDLER t READ FIRST",
    "SHOW GRANTS",
    "SHOW CREATE USER x",
    "SHOW GRANTS FOR root",
    "SHOW BINARY LOGS; DROP TABLE x",
    "SELECT * FROM {{ table }}",
    "SELECT * FROM ${table}",
    "SELECT * FROM :table",
    "SELECT * FROM %s",
    "SELECT current_setting('x'), pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT txid_current(), pg_export_snapshot()",
    "SELECT sys_context('userenv','x') FROM dual",
    "SELECT ai_generate('x')",
    "SELECT ML.PREDICT(x)",
    "SELECT net.http_get('http://x')",
    "SELECT http_get('http://x')",
    "SELECT * FROM sys.dm_exec_sql_text(x)",
    "SELECT fn_my_permissions(1)",
    "SELECT SYSTEM_USER; EXEC('x')",
    "ＳＥＬＥＣＴ 1",
    "SELECT 1；DROP TABLE x",
    "SELECT ＇a＇",
    "CREATE TEMP TABLE x AS SELECT 1",
    "SELECT lo_get(1)",
    "SELECT * FROM pg_largeobject",
    "SELECT pg_stat_file('x')",
    "SELECT pg_ls_waldir()",
    "SELECT json_extract(load_file('x'), '$')",
    "SELECT count(load_extension('x'))",
    "SELECT * FROM fsdir('/')",
    "SELECT * FROM zipfile('x')",
    "SELECT sqlite_compileoption_used('x'), fts5(1)",
    "MERGE INTO t USING s ON 1=1 WHEN MATCHED THEN DELETE",
    "SELECT 1 WHERE 1=1 OR sleep(5)=0",
    "SELECT IF(1=1, SLEEP(5), 0)",
    "SELECT UUID(), SYS_EVAL('id')",
    "SELECT last_insert_id(5)",
    "SELECT master_pos_wait('a', 1, 2)",
    "SELECT is_free_lock('a'), release_lock('a')",
    "SELECT pg_notify('a','b')",
    "SELECT cast(pg_read_file('x') as text)",
    "SELECT pg_read_file('x')::text",
    "SELECT convert_from(pg_read_binary_file('x'),'utf8')",
    "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
    'SELECT U&"\\0070g_shadow" FROM t',
]

SLOW = {
    "brackets": "SELECT " + "(" * 2_000 + "1" + ")" * 2_000,
    "a long list": "SELECT * FROM t WHERE a IN (" + ",".join(["1"] * 20_000) + ")",
    "a list at the bound": "SELECT * FROM t WHERE a IN (" + ",".join(["1"] * 480) + ")",
    "a chain of unions": "SELECT 1" + " UNION SELECT 1" * 320,
    "a chain of signs": "SELECT " + "+".join(["a"] * 490),
    "open comments": "/*" * 8_000,
    "quotes": "'" * 16_000,
    "verbs": "delete " * 2_300,
    "copies": "copy " * 3_200,
    "json": "SELECT a" + "->'b'" * 480,
    "negations": "SELECT " + "NOT " * 1_000 + "1",
}


@pytest.mark.parametrize("statement", READS)
def test_reading_flows(statement: str) -> None:
    risk = assess_sql(statement, AROUND)
    assert risk.level == Level.LOW, risk.reasons


@pytest.mark.parametrize("statement", RISKY)
def test_what_is_more_than_reading_escalates(statement: str) -> None:
    assert assess_sql(statement, AROUND).level >= Level.HIGH


@pytest.mark.parametrize("dialect", DIALECTS[1:])
def test_what_is_more_than_reading_escalates_in_every_dialect(dialect: str) -> None:
    around = Surroundings(workspace="/projects/shop", dialect=dialect)
    comment = "SELECT * FROM t --(pg_sleep(10))"  # a comment everywhere but in MySQL
    quoted = "SELECT E'\\''; DROP TABLE x; --'"  # one text where a back-slash is a letter
    low = [each for each in RISKY if assess_sql(each, around).level == Level.LOW and each not in (comment, quoted)]
    assert low == []


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("DROP TABLE users", "sql.destroy"),
        ("TRUNCATE t", "sql.destroy"),
        ("DELETE FROM users", "sql.delete_all"),
        ("UPDATE users SET a = 1", "sql.update_all"),
        ("GRANT ALL ON t TO x", "sql.privilege"),
        ("COPY t TO PROGRAM 'x'", "sql.program"),
        ("SELECT load_file('/x')", "sql.file"),
        ("SELECT * FROM pg_shadow", "sql.catalogue"),
        ("SELECT pg_sleep(9)", "sql.pause"),
        ("SELECT dblink('a', 'b')", "sql.remote"),
    ],
)
def test_destruction_and_escalation_are_critical_and_named(statement: str, rule: str) -> None:
    risk = assess_sql(statement, AROUND)
    assert risk.level == Level.CRITICAL
    assert rule in risk.rules


@pytest.mark.parametrize(
    "statement", ["INSERT INTO t VALUES (1)", "UPDATE t SET a = 1 WHERE id = 2", "DELETE FROM t WHERE id = 2"]
)
def test_a_bounded_change_is_high(statement: str) -> None:
    assert assess_sql(statement, AROUND).level == Level.HIGH


def test_index_in_a_file_of_the_workspace_is_medium_and_elsewhere_high() -> None:
    statement = "CREATE UNIQUE INDEX IF NOT EXISTS by_mail ON users (mail)"
    assert assess_sql(statement, AROUND, dialect="sqlite").level == Level.MEDIUM
    assert assess_sql(statement, AROUND, dialect="postgres").level == Level.HIGH
    assert assess_sql("CREATE INDEX i ON t (load_extension('x'))", AROUND, dialect="sqlite").level >= Level.HIGH


def test_dialect_of_the_connection_decides_about_its_own_functions() -> None:
    assert assess_sql("SELECT listagg(a, ',') FROM t", AROUND, dialect="oracle").level == Level.LOW
    assert assess_sql("SELECT listagg(a, ',') FROM t", AROUND, dialect="sqlite").level == Level.HIGH


def test_user_may_add_a_function() -> None:
    statement = "SELECT shop_price(id) FROM products"
    assert assess_sql(statement, AROUND).level == Level.HIGH
    around = Surroundings(workspace="/projects/shop", overlay={"functions": [{"function": "shop_price"}]})
    assert assess_sql(statement, around).level == Level.LOW


@pytest.mark.parametrize("name", SLOW)
def test_hostile_sizes_are_answered_in_time(name: str) -> None:
    best = min(_seconds(SLOW[name]) for _ in range(3))
    assert best < 0.25  # five times the promised bound, so that a busy machine does not fail it


def _seconds(statement: str) -> float:
    began = time.perf_counter()
    assess_sql(statement, AROUND)
    return time.perf_counter() - began


@pytest.mark.parametrize("payload", [None, 5, b"SELECT 1", ["SELECT 1"], {"sql": "SELECT 1"}])
def test_payload_of_another_kind_is_high(payload: object) -> None:
    assert assess_sql(payload, AROUND).level == Level.HIGH


_BLANKS = st.sampled_from([" ", "\n", "\t", "  ", "\r\n", " /* x */ ", "/**/", " -- y\n"])


@given(st.sampled_from(RISKY), st.data())
@settings(max_examples=400, deadline=None)
def test_blanks_comments_and_case_never_make_it_low(statement: str, data: st.DataObject) -> None:
    words = statement.split(" ")
    text = "".join(word + data.draw(_BLANKS) for word in words)
    if data.draw(st.booleans()):
        text = "".join(data.draw(st.sampled_from((letter.lower(), letter.upper()))) for letter in text)
    if data.draw(st.booleans()):
        text = f"({text})" if not text.rstrip().endswith(";") else text
    assert assess_sql(text, AROUND).level >= Level.HIGH


@given(
    st.sampled_from(READS),
    st.sampled_from([each for each in RISKY if each[:1] not in ".\\"]),
    st.sampled_from(["; ", ";", " ; -- x\n", "\n;\n"]),
)
@settings(max_examples=300, deadline=None)
def test_a_second_statement_is_never_hidden_by_the_first(read: str, risky: str, joint: str) -> None:
    assert assess_sql(f"{read.rstrip('; ')}{'' if '--' not in read else chr(10)}{joint}{risky}", AROUND).level >= Level.HIGH


@given(st.sampled_from([each for each in RISKY if each.startswith("SELECT") and "\n" not in each]), st.sampled_from(READS))
@settings(max_examples=300, deadline=None)
def test_a_risky_query_stays_risky_beside_a_read(risky: str, read: str) -> None:
    assert assess_sql(f"{risky} UNION {read}", AROUND).level >= Level.HIGH
    assert assess_sql(f"SELECT * FROM ({risky}) x", AROUND).level >= Level.HIGH


@given(st.text(max_size=300))
@settings(max_examples=400, deadline=None)
def test_any_text_is_judged(statement: str) -> None:
    assert assess_sql(statement, AROUND).findings


@given(
    st.lists(
        st.sampled_from("select from where ( ) , ; ' \" ` [ ] -- /* */ \\ # $ $$ a 1 drop pg_sleep into union with as".split()),  # noqa: SIM905
        max_size=25,
    )
)
@settings(max_examples=600, deadline=None)
def test_a_call_or_a_change_is_never_low_however_it_is_wrapped(pieces: list[str]) -> None:
    text = " ".join([*pieces, "pg_sleep", "(", "9", ")"])
    visible = "--" not in pieces and "/*" not in pieces and not {"'", '"', "`", "[", "#"} & set(pieces)
    if visible:
        assert assess_sql(text, AROUND).level >= Level.HIGH
