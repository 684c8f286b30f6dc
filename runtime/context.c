/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing: detect the device, read every layer once, keep the winners in memory and nothing else: no
 * database handle and no file stays open. A database that cannot be read costs one sentence in the log. */
#include "runtime/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/text.h"
#include "runtime/abi.h"
#include "runtime/capture.h"
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
static spt_status read_layer(spt_device_records *own, spt_device_records *near, const spt_context *context,
                             const spt_layer_path *layer) {
    if (!layer->is_named && access(layer->path, F_OK) != 0)
        return SPT_OK;
    const spt_status status = spt_db_read_device(own, near, layer->path, &context->device);
    if (status == SPT_OK || status == SPT_ENOMEM)
        return status;
    spt_context_log(context, "database skipped: %s", spt_last_error());
    return SPT_OK;
}

static void note_near_device(spt_context *context, const spt_device_records *near) {
    if (context->near_device_key[0] == '\0' && near->winners.count > 0)
        spt_copy_text(context->near_device_key, sizeof context->near_device_key, near->device_key);
}

static spt_status read_layers(spt_context *context, const char *const *databases) {
    spt_device_records *own = NULL, *near = NULL;
    spt_layer_paths paths;
    spt_status status = SPT_OK;
    SPT_TRY(spt_layer_paths_init(&paths, databases));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(own, SPT_LAYERS_MAX));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(near, SPT_LAYERS_MAX));
    for (int i = 0; i < paths.count; i++) {
        SPT_TRY_TO(done, read_layer(&own[i], &near[i], context, &paths.items[i]));
        note_near_device(context, &near[i]);
    }
    SPT_TRY_TO(done, spt_table_init(&context->table, own, paths.count));
    if (context->mode == SPT_MODE_FALLBACK) {
        SPT_TRY_TO(done, spt_table_init(&context->near_table, near, paths.count));
        SPT_TRY_TO(done, spt_memo_init(&context->memo));
    }
done:
    for (int i = 0; i < paths.count && own != NULL && near != NULL; i++) {
        spt_device_records_fini(&own[i]);
        spt_device_records_fini(&near[i]);
    }
    spt_free(own);
    spt_free(near);
    spt_layer_paths_fini(&paths);
    return status;
}

static spt_status open_context(spt_context *context, const spt_options *options) {
    context->mode = options->mode;
    context->log = options->log;
    context->log_user = options->log_user;
    SPT_TRY(spt_device_detect(&context->device));
    SPT_TRY(spt_capture_init(&context->capture));
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
    spt_table_fini(&context->near_table);
    spt_memo_fini(&context->memo);
    spt_capture_fini(&context->capture);
    spt_free(context);
}
