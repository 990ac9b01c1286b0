// links: server
/* fuzz_config.c - any bytes as the server's configuration file. */
#include "base/buffer.h"
#include "base/error.h"
#include "server/options.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read must print as YAML that reads back to the same. */
static void assert_prints(const struct options *options)
{
    struct buffer first, second;
    struct error err = {0};
    struct options again;
    buffer_init(&first, 1 << 22);
    buffer_init(&second, 1 << 22);
    options_append_yaml(&first, options);
    options_preset(&again);
    if (config_parse(&options_table, buffer_slice(&first), "printed", &again, &err)) {
        options_append_yaml(&second, &again);
        assert(slice_equal(buffer_slice(&first), buffer_slice(&second)));
    }
    options_done(&again);
    buffer_done(&first);
    buffer_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options options;
    struct error err = {0};
    options_preset(&options);
    if (config_parse(&options_table, slice_of(data, size), "fuzz", &options, &err))
        assert_prints(&options);
    else
        assert(err.code != ERR_NONE && err.message[0]);
    options_done(&options);
    return 0;
}
