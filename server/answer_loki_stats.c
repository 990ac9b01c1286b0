/*
 * answer_loki_stats.c - the statistics in Loki's answers, with all keys that Loki has.
 *
 * Tools print whatever they find by name, so no key is missing.  What this
 * server counts stands in `summary` and in the querier's `chunk`; caches,
 * ingesters and bloom filters are not notions of it and stay zero.
 */
#include "base/buffer.h"
#include "base/json_writer.h"
#include "query/query.h"
#include "server/answer.h"

static void begin(struct json_writer *w, const char *key)
{
    json_write_key(w, slice_from_text(key));
    json_write_object_begin(w);
}

static void number(struct json_writer *w, const char *key, uint64_t value)
{
    json_write_key(w, slice_from_text(key));
    json_write_u64(w, value);
}

static void seconds(struct json_writer *w, const char *key, int64_t ns)
{
    json_write_key(w, slice_from_text(key));
    json_write_double(w, (double)ns / 1e9, 'j', false);
}

static void write_summary(struct json_writer *w, const struct query_stats *stats)
{
    int64_t took_ns = stats->parse_ns + stats->evaluate_ns;
    double took = took_ns > 0 ? (double)took_ns / 1e9 : 1e-9;
    begin(w, "summary");
    number(w, "bytesProcessedPerSecond", (uint64_t)((double)stats->line_bytes / took));
    number(w, "linesProcessedPerSecond", (uint64_t)((double)stats->lines / took));
    number(w, "totalBytesProcessed", stats->line_bytes);
    number(w, "totalLinesProcessed", stats->lines);
    seconds(w, "execTime", took_ns);
    seconds(w, "queueTime", stats->queue_ns);
    number(w, "subqueries", 0);
    number(w, "totalEntriesReturned", stats->entries_returned);
    number(w, "splits", 0);
    number(w, "shards", 0);
    number(w, "totalPostFilterLines", stats->lines_after_filter);
    number(w, "totalStructuredMetadataBytesProcessed", 0);
    json_write_object_end(w);
}

static void write_store(struct json_writer *w, const struct query_stats *stats)
{
    begin(w, "store");
    number(w, "totalChunksRef", stats->series);
    number(w, "totalChunksDownloaded", stats->series);
    number(w, "chunksDownloadTime", 0);
    json_write_key(w, SLICE("queryReferencedStructuredMetadata"));
    json_write_bool(w, false);
    begin(w, "chunk");
    number(w, "headChunkBytes", 0);
    number(w, "headChunkLines", 0);
    number(w, "decompressedBytes", stats->line_bytes);
    number(w, "decompressedLines", stats->lines);
    number(w, "compressedBytes", 0);
    number(w, "totalDuplicates", 0);
    number(w, "postFilterLines", stats->lines_after_filter);
    number(w, "headChunkStructuredMetadataBytes", 0);
    number(w, "decompressedStructuredMetadataBytes", 0);
    json_write_object_end(w);
    number(w, "chunkRefsFetchTime", 0);
    number(w, "congestionControlLatency", 0);
    number(w, "pipelineWrapperFilteredLines", 0);
    json_write_object_end(w);
}

static void write_caches(struct json_writer *w)
{
    static const char *const caches[] = {
        "chunk",        "index",        "result",      "statsResult",
        "volumeResult", "seriesResult", "labelResult", "instantMetricResult"};
    static const char *const keys[] = {"entriesFound",  "entriesRequested", "entriesStored",
                                       "bytesReceived", "bytesSent",        "requests",
                                       "downloadTime",  "queryLengthServed"};
    begin(w, "cache");
    for (size_t i = 0; i < COUNT_OF(caches); i++) {
        begin(w, caches[i]);
        for (size_t j = 0; j < COUNT_OF(keys); j++)
            number(w, keys[j], 0);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

void answer_loki_stats(struct buffer *out, const struct query_stats *stats)
{
    static const struct query_stats none;
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    write_summary(&w, stats);
    begin(&w, "querier");
    write_store(&w, stats);
    json_write_object_end(&w);
    begin(&w, "ingester");
    number(&w, "totalReached", 0);
    number(&w, "totalChunksMatched", 0);
    number(&w, "totalBatches", 0);
    number(&w, "totalLinesSent", 0);
    write_store(&w, &none);
    json_write_object_end(&w);
    write_caches(&w);
    begin(&w, "index");
    number(&w, "totalChunks", 0);
    number(&w, "postFilterChunks", 0);
    number(&w, "shardsDuration", 0);
    json_write_key(&w, SLICE("usedBloomFilters"));
    json_write_bool(&w, false);
    json_write_object_end(&w);
    json_write_object_end(&w);
}
