// links: server
/* What a client sends, frame by frame, and the same bytes as the headers of a handshake. */
#include "server/websocket.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char accept[WEBSOCKET_ACCEPT_MAX];
    struct slice input = slice_of(data, size);
    struct websocket_frame frame;
    websocket_accept(SLICE("websocket"), input, SLICE("13"), input, accept);
    websocket_accept(SLICE("websocket"), SLICE("upgrade"), SLICE("13"), input, accept);
    for (;;) {
        enum websocket_event event = websocket_read(input, &frame);
        if (event == WEBSOCKET_MORE || event == WEBSOCKET_WRONG)
            return 0;
        assert(frame.size > 0 && frame.size <= input.size);
        input = slice_skip(input, frame.size);
    }
}
