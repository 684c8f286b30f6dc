/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing: detect the device, read every layer once, keep the winners in memory and nothing else: no
 * database handle and no file stays open. A database that cannot be read costs one sentence in the log. */
#include "runtime/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/memory.h"
#include "runtime/abi.h"
#include "db/reader_layers.h"

void spt_context_log(const spt_context *context, const char *format, ...) {
    if (context->log == NULL)
        return;
    char message[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    context->log(context->log_user, message);
}

/* Read one layer; what is wrong with it is said and passed over. Errors: ENOMEM. */
static spt_status read_layer(spt_winner_list *out, const spt_context *context, const spt_layer_path *layer) {
    *out = (spt_winner_list){0};
    if (!layer->is_named && access(layer->path, F_OK) != 0)
        return SPT_OK;
    const spt_status status = spt_db_read_winners(out, layer->path, context->device.key);
    if (status == SPT_OK || status == SPT_ENOMEM)
        return status;
    *out = (spt_winner_list){0};
    spt_context_log(context, "database skipped: %s", spt_last_error());
    return SPT_OK;
}

static spt_status read_layers(spt_context *context, const char *const *databases) {
    spt_layer_paths paths;
    SPT_TRY(spt_layer_paths_init(&paths, databases));
    spt_winner_list layers[SPT_LAYERS_MAX] = {{0}};
    spt_status status = SPT_OK;
    for (int i = 0; i < paths.count; i++)
        SPT_TRY_TO(done, read_layer(&layers[i], context, &paths.items[i]));
    status = spt_table_init(&context->table, layers, paths.count, &context->device);
done:
    for (int i = 0; i < paths.count; i++)
        spt_winner_list_fini(&layers[i]);
    spt_layer_paths_fini(&paths);
    return status;
}

static spt_status open_context(spt_context *context, const spt_options *options) {
    context->mode = options->mode;
    context->log = options->log;
    context->log_user = options->log_user;
    SPT_TRY(spt_device_detect(&context->device));
    return context->mode == SPT_MODE_OFF ? SPT_OK : read_layers(context, options->databases);
}

spt_status spt_open(spt_context **out, const spt_options *options) {
    if (out == NULL)
        return spt_fail(SPT_EINVAL, "expected a place for the context, found a null pointer");
    *out = NULL;
    spt_options known = {.size = sizeof known};
    if (options != NULL)
        SPT_TRY(spt_abi_read(&known, sizeof known, options, SPT_OPTIONS_SIZE_FIRST, "options"));
    if ((unsigned)known.mode > SPT_MODE_OFF)
        return spt_fail(SPT_EINVAL, "expected mode fallback, exact or off in the options, found %d", (int)known.mode);
    spt_context *context = NULL;
    SPT_TRY(SPT_NEW_ZEROED(context, 1));
    const spt_status status = open_context(context, &known);
    if (status != SPT_OK) {
        spt_close(context);
        return status;
    }
    *out = context;
    return SPT_OK;
}

void spt_close(spt_context *context) {
    if (context == NULL)
        return;
    spt_table_fini(&context->table);
    spt_free(context);
}
