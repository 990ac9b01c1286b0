/*
 * websocket.c - see websocket.h.
 *
 * The handshake needs SHA-1 and base64 of one short text; both are here, for
 * nothing but that: the protocol uses them to tell a WebSocket from a proxy's
 * accident, not for secrecy.
 */
#include "server/websocket.h"

#include "base/buffer.h"

#include <string.h>

#define WEBSOCKET_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { KEY_SIZE = 24, CONTROL_MAX = 125, FIN = 0x80, MASKED = 0x80, RESERVED = 0x70 };

/* ---- the handshake ------------------------------------------------------ */

static uint32_t rotate(uint32_t value, unsigned by)
{
    return value << by | value >> (32 - by);
}

static void sha1_block(uint32_t state[5], const unsigned char block[64])
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)block[i * 4] << 24 | (uint32_t)block[i * 4 + 1] << 16 |
               (uint32_t)block[i * 4 + 2] << 8 | block[i * 4 + 3];
    for (size_t i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (size_t i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) {
            f = (b & c) | (~b & d);
            k = 0x5a827999;
        } else if (i < 40) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        } else if (i < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        }
        uint32_t next = rotate(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* Of the key and the protocol's constant: 60 bytes, so always two blocks. */
static void sha1_of_key(const char key[KEY_SIZE], unsigned char digest[20])
{
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    unsigned char blocks[128] = {0};
    size_t size = KEY_SIZE + sizeof(WEBSOCKET_GUID) - 1;
    memcpy(blocks, key, KEY_SIZE);
    memcpy(blocks + KEY_SIZE, WEBSOCKET_GUID, sizeof(WEBSOCKET_GUID) - 1);
    blocks[size] = 0x80;
    blocks[126] = (unsigned char)(size * 8 >> 8);
    blocks[127] = (unsigned char)(size * 8);
    sha1_block(state, blocks);
    sha1_block(state, blocks + 64);
    for (size_t i = 0; i < 20; i++)
        digest[i] = (unsigned char)(state[i / 4] >> (24 - i % 4 * 8));
}

static void base64_of_digest(const unsigned char digest[20], char out[WEBSOCKET_ACCEPT_MAX])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    for (size_t i = 0; i < 20; i += 3) {
        uint32_t bits = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 |
                        (i + 2 < 20 ? digest[i + 2] : 0);
        for (unsigned shift = 18; at < 28 && shift <= 18; shift -= 6)
            out[at++] = digits[bits >> shift & 63];
    }
    out[27] = '=';
    out[28] = '\0';
}

static bool is_base64(struct slice key)
{
    for (size_t i = 0; i < key.size; i++) {
        char c = key.data[i];
        bool digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '+' || c == '/';
        if (!digit && !(c == '=' && i >= KEY_SIZE - 2))
            return false;
    }
    return key.size == KEY_SIZE;
}

static bool names_upgrade(struct slice connection)
{
    struct slice part;
    while (connection.data && slice_split(&connection, ',', &part))
        if (slice_equal_ignore_case(slice_trim(part), SLICE("upgrade")))
            return true;
    return false;
}

bool websocket_accept(struct slice upgrade, struct slice connection, struct slice version,
                      struct slice key, char accept[WEBSOCKET_ACCEPT_MAX])
{
    unsigned char digest[20];
    key = slice_trim(key);
    if (!slice_equal_ignore_case(slice_trim(upgrade), SLICE("websocket")) ||
        !names_upgrade(connection) || !slice_equal(slice_trim(version), SLICE("13")) ||
        !is_base64(key))
        return false;
    sha1_of_key(key.data, digest);
    base64_of_digest(digest, accept);
    return true;
}

/* ---- frames --------------------------------------------------------------- */

void websocket_append(struct buffer *out, enum websocket_opcode opcode, struct slice payload)
{
    unsigned char head[10] = {(unsigned char)(FIN | opcode)};
    size_t size = 2;
    if (payload.size <= 125) {
        head[1] = (unsigned char)payload.size;
    } else if (payload.size <= UINT16_MAX) {
        head[1] = 126;
        size = 4;
    } else {
        head[1] = 127;
        size = 10;
    }
    for (size_t i = 2; i < size; i++)
        head[i] = (unsigned char)((uint64_t)payload.size >> (size - 1 - i) * 8);
    buffer_append(out, head, size);
    buffer_append_slice(out, payload);
}

void websocket_append_close(struct buffer *out, enum websocket_status status, const char *reason)
{
    char payload[CONTROL_MAX];
    size_t size = strlen(reason);
    if (size > CONTROL_MAX - 2)
        size = CONTROL_MAX - 2;
    payload[0] = (char)(status >> 8);
    payload[1] = (char)(status & 255);
    memcpy(payload + 2, reason, size);
    websocket_append(out, WEBSOCKET_CLOSE, slice_of(payload, size + 2));
}

static enum websocket_event wrong(struct websocket_frame *frame, enum websocket_status status)
{
    frame->status = status;
    return WEBSOCKET_WRONG;
}

enum websocket_event websocket_read(struct slice input, struct websocket_frame *frame)
{
    const unsigned char *bytes = (const unsigned char *)input.data;
    *frame = (struct websocket_frame){0};
    if (input.size < 2)
        return WEBSOCKET_MORE;
    unsigned opcode = bytes[0] & 15;
    bool control = opcode >= WEBSOCKET_CLOSE;
    uint64_t size = bytes[1] & 127;
    size_t head = size == 127 ? 10 : size == 126 ? 4 : 2;
    if (bytes[0] & RESERVED || !(bytes[1] & MASKED) || opcode > WEBSOCKET_PONG ||
        (opcode > WEBSOCKET_BINARY && !control) || (control && (!(bytes[0] & FIN) || size > 125)))
        return wrong(frame, WEBSOCKET_PROTOCOL_ERROR);
    if (input.size < head)
        return WEBSOCKET_MORE;
    if (head > 2)
        size = 0;
    for (size_t i = 2; i < head; i++)
        size = size << 8 | bytes[i];
    if (size > WEBSOCKET_INPUT_MAX)
        return wrong(frame, WEBSOCKET_TOO_BIG);
    if (input.size < head + 4 + size)
        return WEBSOCKET_MORE;
    frame->size = head + 4 + (size_t)size;
    if (!control)
        return WEBSOCKET_MESSAGE;
    frame->payload_size = (size_t)size;
    for (size_t i = 0; i < size; i++)
        frame->payload[i] = bytes[head + 4 + i] ^ bytes[head + i % 4];
    if (opcode == WEBSOCKET_PING)
        return WEBSOCKET_PINGED;
    return opcode == WEBSOCKET_CLOSE ? WEBSOCKET_CLOSED : WEBSOCKET_MESSAGE;
}
