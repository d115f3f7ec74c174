-- Transcripts in ClickHouse: from the logs that the collector sends (transcripts.yaml) to calls, tokens and conversations.
--
--   clickhouse-client --queries-file collector-config/clickhouse.sql
--
-- Tested with ClickHouse 26. What the collector sends twice (it may, after it was killed) is seen once in all views.
-- The fields are those of docs/format.md; NULL is a field that an entry does not have.

CREATE DATABASE IF NOT EXISTS spanscript;

-- As the collector's exporter itself makes it, so it fits with any `create_schema`. Only `entries` is needed for what
-- follows: give this table a TTL (… TTL TimestampTime + INTERVAL 7 DAY), or none, as you like.
CREATE TABLE IF NOT EXISTS spanscript.otel_logs
(
    Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TimestampTime DateTime DEFAULT toDateTime(Timestamp),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName String CODEC(ZSTD(1)),

    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_value mapValues(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_body Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
)
ENGINE = MergeTree
PARTITION BY toDate(TimestampTime)
PRIMARY KEY (ServiceName, TimestampTime)
ORDER BY (ServiceName, TimestampTime, Timestamp)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1;

-- One row per entry. An entry is named by its writer and seq; its time stands beside them, since a writer's name has 8
-- digits, and among very many processes two may have the same.
CREATE TABLE IF NOT EXISTS spanscript.entries
(
    writer String,
    seq UInt64,
    timestamp DateTime64(6, 'UTC'),
    type LowCardinality(String),
    trace_id String,
    span_id String,
    service_name LowCardinality(String),
    call_id String,
    attempt UInt32,
    hash String,
    line String CODEC(ZSTD(3)),

    -- Of requests and what came of them, what views show and count. ClickHouse takes no JSON in which half of a
    -- surrogate pair is escaped (models say so), nor numbers as 1e400: then do without these, and without the body.
    fields DEFAULT JSONExtract(
        multiIf(
            NOT startsWith(type, 'provider_call_'), '{}',
            isValidJSON(line), line,
            replaceRegexpAll(
                replaceOne(line, '"body":' || simpleJSONExtractRaw(line, 'body'), '"body":0'),
                '(\\\\[^u])|\\\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\\1')),
        'Tuple(
            model Nullable(String), provider Nullable(String), dialect Nullable(String), client Nullable(String),
            url Nullable(String), stream Nullable(Bool), iteration Nullable(Int64), stage Nullable(String),
            system_prompt Nullable(String), tool_schemas Nullable(String), context Nullable(String),
            message_count Nullable(UInt64), prompt_chars Nullable(UInt64), blobs Nullable(UInt64),
            body_bytes Nullable(UInt64), body_sha256 Nullable(String),
            status Nullable(String), retryable Nullable(Bool), retry_after_ms Nullable(Float64),
            error_type Nullable(String), error_message Nullable(String), http_status Nullable(UInt16),
            response_id Nullable(String), request_id Nullable(String), finish_reasons Array(String),
            text Nullable(String), thinking Nullable(String), refusal Nullable(String),
            input_tokens Nullable(UInt64), output_tokens Nullable(UInt64), cache_read_tokens Nullable(UInt64),
            cache_write_tokens Nullable(UInt64), reasoning_tokens Nullable(UInt64), cost_usd Nullable(Float64),
            response_ms Nullable(Float64), first_chunk_ms Nullable(Float64), truncated Nullable(Bool))'),

    INDEX by_call call_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (writer, seq, timestamp);

-- The attribute is on every record of an entry and on no other; EventName is not there if ClickHouse was down when the
-- collector started.
CREATE MATERIALIZED VIEW IF NOT EXISTS spanscript.to_entries TO spanscript.entries AS
SELECT
    LogAttributes['spanscript.writer'] AS writer,
    toUInt64OrZero(LogAttributes['spanscript.seq']) AS seq,
    toDateTime64(Timestamp, 6, 'UTC') AS timestamp,
    extract(Body, '"type": ?"([a-z_]+)"') AS type,
    TraceId AS trace_id,
    SpanId AS span_id,
    ServiceName AS service_name,
    LogAttributes['llm.call_id'] AS call_id,
    toUInt32OrZero(LogAttributes['llm.attempt']) AS attempt,
    LogAttributes['spanscript.hash'] AS hash,
    Body AS line
FROM spanscript.otel_logs
WHERE LogAttributes['spanscript.writer'] != '';

-- What is named by its hash: messages, system prompts, lists of tools. `value` is the JSON as it was sent. A message
-- that another writer spelt in another way has the same hash, so each writer's own stands here once. No TTL: a
-- conversation of today may begin with a message of last year.
CREATE TABLE IF NOT EXISTS spanscript.contents
(
    hash String,
    type LowCardinality(String),
    writer String,
    parent String,
    blobs UInt32,
    value String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (hash, type, writer);

-- JSONExtractRaw would spell numbers anew (1.0 as 1): what stands between the braces is cut out of the line.
CREATE MATERIALIZED VIEW IF NOT EXISTS spanscript.to_contents TO spanscript.contents AS
WITH replaceRegexpOne(
    line,
    '^\\{"type":"message","timestamp":"[^"]*","writer":"[^"]*","seq":[0-9]+(?:,"blobs":[0-9]+)?(?:,"trace_id":"[^"]*","span_id":"[^"]*")?,"hash":"[^"]*","parent":(?:null|"[^"]*")(?:,"iteration":[0-9]+)?(?:,"stage":"(?:[^"\\\\]|\\\\.)*")?,?(?:(?:"role":"[^"]*",)?("message":))?',
    '\\1') AS own
SELECT
    hash,
    type,
    writer,
    simpleJSONExtractString(line, 'parent') AS parent,
    toUInt32(simpleJSONExtractUInt(line, 'blobs')) AS blobs,
    multiIf(
        type = 'system_prompt', simpleJSONExtractRaw(line, 'content'),
        type = 'tool_schemas', simpleJSONExtractRaw(line, 'schemas'),
        startsWith(own, '"message":'), substring(own, 11, length(own) - 11),
        '{' || own) AS value
FROM spanscript.entries
WHERE type IN ('message', 'system_prompt', 'tool_schemas');

-- Who wrote: processes.
CREATE VIEW IF NOT EXISTS spanscript.writers AS
SELECT
    writer,
    min(timestamp) AS began,
    any(JSONExtractString(line, 'service_name')) AS service_name,
    any(JSONExtractString(line, 'host')) AS host,
    any(JSONExtractUInt(line, 'pid')) AS pid,
    any(JSONExtractString(line, 'spanscript')) AS spanscript
FROM spanscript.entries
WHERE type = 'transcript_open'
GROUP BY writer;

-- One row per HTTP attempt. `status`: ok, unfinished, or as in the error. `outcome` is the whole entry of the answer. (No
-- aggregate here counts, so none minds an entry that is there twice. Ask `entries` itself with FINAL.)
CREATE VIEW IF NOT EXISTS spanscript.attempts AS
SELECT
    call_id,
    attempt,
    min(e.timestamp) AS timestamp,
    maxIf(e.timestamp, type != 'provider_call_request') AS ended,
    any(e.trace_id) AS trace_id,
    any(e.span_id) AS span_id,
    any(e.service_name) AS service_name,
    anyIf(e.writer, type = 'provider_call_request') AS writer,
    coalesce(anyIf(fields.model, type = 'provider_call_request'), any(fields.model)) AS model,
    anyIf(fields.model, type != 'provider_call_request') AS response_model,
    any(fields.provider) AS provider,
    any(fields.dialect) AS dialect,
    any(fields.client) AS client,
    any(fields.url) AS url,
    any(fields.stream) AS stream,
    any(fields.iteration) AS iteration,
    any(fields.stage) AS stage,
    any(fields.system_prompt) AS system_prompt,
    any(fields.tool_schemas) AS tool_schemas,
    any(fields.context) AS context,
    any(fields.message_count) AS message_count,
    any(fields.prompt_chars) AS prompt_chars,
    any(fields.body_bytes) AS body_bytes,
    any(fields.body_sha256) AS body_sha256,
    multiIf(
        countIf(type = 'provider_call_response') > 0, 'ok',
        countIf(type = 'provider_call_error') > 0, coalesce(any(fields.status), 'error'),
        'unfinished') AS status,
    any(fields.http_status) AS http_status,
    any(fields.error_type) AS error_type,
    any(fields.error_message) AS error_message,
    any(fields.retryable) AS retryable,
    any(fields.retry_after_ms) AS retry_after_ms,
    any(fields.request_id) AS request_id,
    any(fields.response_id) AS response_id,
    anyIf(fields.finish_reasons, type != 'provider_call_request') AS finish_reasons,
    any(fields.text) AS text,
    any(fields.thinking) AS thinking,
    any(fields.refusal) AS refusal,
    anyIf(e.line, type != 'provider_call_request') AS outcome,
    any(fields.input_tokens) AS input_tokens,
    any(fields.output_tokens) AS output_tokens,
    any(fields.cache_read_tokens) AS cache_read_tokens,
    any(fields.cache_write_tokens) AS cache_write_tokens,
    any(fields.reasoning_tokens) AS reasoning_tokens,
    any(fields.cost_usd) AS cost_usd,
    any(fields.response_ms) AS response_ms,
    any(fields.first_chunk_ms) AS first_chunk_ms
FROM spanscript.entries AS e
WHERE type IN ('provider_call_request', 'provider_call_response', 'provider_call_error')
GROUP BY call_id, attempt;

-- One row per call, as `spanscript ls` tells it: status and tokens are those of the last attempt; `ms` is from its
-- first line to its last, waits included.
CREATE VIEW IF NOT EXISTS spanscript.calls AS
SELECT
    call_id,
    min(a.timestamp) AS timestamp,
    argMin(a.trace_id, attempt) AS trace_id,
    argMin(a.span_id, attempt) AS span_id,
    any(a.service_name) AS service_name,
    argMin(a.model, attempt) AS model,
    argMin(a.provider, attempt) AS provider,
    argMin(a.dialect, attempt) AS dialect,
    argMin(a.client, attempt) AS client,
    argMin(a.url, attempt) AS url,
    argMin(a.stream, attempt) AS stream,
    argMin(a.iteration, attempt) AS iteration,
    argMin(a.stage, attempt) AS stage,
    count() AS attempts,
    argMax(a.status, attempt) AS status,
    -- In tuples: argMax alone passes over NULL.
    argMax(tuple(a.error_type), attempt).1 AS error_type,
    argMax(tuple(a.error_message), attempt).1 AS error_message,
    argMax(tuple(a.input_tokens), attempt).1 AS input_tokens,
    argMax(tuple(a.output_tokens), attempt).1 AS output_tokens,
    argMax(tuple(a.cache_read_tokens), attempt).1 AS cache_read_tokens,
    argMax(tuple(a.cache_write_tokens), attempt).1 AS cache_write_tokens,
    argMax(tuple(a.reasoning_tokens), attempt).1 AS reasoning_tokens,
    argMax(tuple(a.cost_usd), attempt).1 AS cost_usd,
    if(status = 'unfinished', NULL, dateDiff('microsecond', min(a.timestamp), max(a.ended)) / 1000) AS ms
FROM spanscript.attempts AS a
GROUP BY call_id;

-- What was used, attempts that failed included. Input includes cached tokens, output includes reasoning.
CREATE VIEW IF NOT EXISTS spanscript.tokens_by_model_and_day AS
SELECT
    toDate(a.timestamp) AS day,
    service_name,
    provider,
    model,
    uniqExact(call_id) AS calls,
    count() AS attempts,
    countIf(status != 'ok') AS failed_attempts,
    sum(a.input_tokens) AS input_tokens,
    sum(a.cache_read_tokens) AS cache_read_tokens,
    sum(a.cache_write_tokens) AS cache_write_tokens,
    sum(a.output_tokens) AS output_tokens,
    sum(a.reasoning_tokens) AS reasoning_tokens,
    sum(a.cost_usd) AS cost_usd
FROM spanscript.attempts AS a
GROUP BY day, service_name, provider, model;

-- The messages of a request, the oldest first: from its last one back over `parent`, some milliseconds for each.
--   SELECT * FROM spanscript.messages(call_id = '0198…', attempt = 0)
CREATE VIEW IF NOT EXISTS spanscript.messages AS
WITH RECURSIVE
    request AS
    (
        SELECT writer, fields.context AS context, fields.message_count AS message_count
        FROM spanscript.entries
        WHERE type = 'provider_call_request' AND call_id = {call_id:String} AND attempt = {attempt:UInt32}
        LIMIT 1
    ),
    -- Of several spellings, the request's own writer's. Positions count down, so that parents in a circle (which are
    -- forged) come to an end. IN finds the message by the table's order, JOIN says what is known of the one after it.
    chain AS
    (
        SELECT
            c.hash AS hash,
            any(c.parent) AS parent,
            any(toInt64(request.message_count) - 1) AS position,
            any(request.writer) AS asked_by,
            argMax(c.blobs, c.writer = request.writer) AS blobs,
            argMax(c.value, c.writer = request.writer) AS value
        FROM spanscript.contents AS c INNER JOIN request ON c.hash = request.context
        WHERE c.type = 'message' AND c.hash IN (SELECT context FROM request)
        GROUP BY c.hash
        UNION ALL
        SELECT
            c.hash AS hash,
            any(c.parent) AS parent,
            any(chain.position) - 1 AS position,
            any(chain.asked_by) AS asked_by,
            argMax(c.blobs, c.writer = chain.asked_by) AS blobs,
            argMax(c.value, c.writer = chain.asked_by) AS value
        FROM spanscript.contents AS c INNER JOIN chain ON c.hash = chain.parent
        WHERE c.type = 'message' AND c.hash IN (SELECT parent FROM chain) AND chain.position > 0
        GROUP BY c.hash
    )
SELECT position, hash, parent, blobs, value
FROM chain
ORDER BY position
SETTINGS max_recursive_cte_evaluation_depth = 100000;

-- All that a request said, in order, and its body as it was sent. `exact`: the body has the SHA-256 of what was sent.
-- It is not exact where blobs or an app's own encoder (spaces after commas) are in it: `spanscript replay` has those.
--   SELECT * FROM spanscript.requests(call_id = '0198…', attempt = 0)
CREATE VIEW IF NOT EXISTS spanscript.requests AS
WITH
    said AS
    (
        SELECT arrayMap(each -> each.2, arraySort(groupArray((position, value)))) AS messages, sum(m.blobs) AS blobs
        FROM spanscript.messages(call_id = {call_id:String}, attempt = {attempt:UInt32}) AS m
    ),
    request AS
    (
        SELECT writer, line, fields.system_prompt AS system_hash, fields.tool_schemas AS tools_hash,
            fields.body_sha256 AS body_sha256, coalesce(fields.blobs, 0) AS blobs
        FROM spanscript.entries
        WHERE type = 'provider_call_request' AND call_id = {call_id:String} AND attempt = {attempt:UInt32}
        LIMIT 1
    ),
    named AS
    (
        SELECT
            anyIf(c.value, type = 'system_prompt') AS system_prompt,
            anyIf(c.value, type = 'tool_schemas') AS tool_schemas,
            sum(c.blobs) AS blobs
        FROM
        (
            SELECT * FROM spanscript.contents
            WHERE (hash, type) IN
            (
                SELECT arrayJoin([(coalesce(system_hash, ''), 'system_prompt'), (coalesce(tools_hash, ''), 'tool_schemas')])
                FROM request
            )
            ORDER BY writer = (SELECT writer FROM request) DESC
            LIMIT 1 BY hash, type
        ) AS c
    ),
    -- The body between its references; what each of them stands for is an array's inside, if it stands in an array.
    simpleJSONExtractRaw(line, 'body') AS skeleton,
    splitByRegexp('\\{"\\$transcript": ?"[a-z_]+"\\}', skeleton) AS pieces,
    arrayMap(
        name -> multiIf(
            name = 'context', '[' || arrayStringConcat(messages, ',') || ']',
            name = 'message', messages[-1],
            name = 'system_prompt', system_prompt,
            tool_schemas),
        extractAll(skeleton, '\\{"\\$transcript": ?"([a-z_]+)"\\}')) AS values,
    arrayStringConcat(arrayMap(
        (piece, value) -> piece || if(match(piece, '[\\[,] *$') AND startsWith(value, '['), trimBoth(substring(value, 2, length(value) - 2)), value),
        pieces, arrayPushBack(values, ''))) AS spliced
SELECT
    system_prompt,
    tool_schemas,
    messages,
    multiIf(
        JSONHas(line, 'body_text'), JSONExtractString(line, 'body_text'),
        JSONHas(line, 'body_base64'), base64Decode(JSONExtractString(line, 'body_base64')),
        JSONExtractBool(line, 'verbatim'), skeleton,
        spliced) AS body,
    CAST(coalesce(lower(hex(SHA256(body))) = body_sha256, false), 'Bool') AS exact,
    request.blobs + said.blobs + named.blobs AS blobs
FROM request CROSS JOIN said CROSS JOIN named;
