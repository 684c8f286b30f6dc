/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing: detect the device, read every layer once, keep the winners in memory and nothing else: no
 * database handle and no file stays open. A database that cannot be read costs one sentence in the log. */
#include "runtime/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
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

/* Keep the caller's list for devices that are asked for later. */
static spt_status copy_databases(spt_context *context, const char *const *databases) {
    size_t count = 0;
    if (databases == NULL)
        return SPT_OK;
    while (databases[count] != NULL)
        count++;
    SPT_TRY(SPT_NEW_ZEROED(context->databases, count + 1));
    for (size_t i = 0; i < count; i++)
        if ((context->databases[i] = spt_strdup(databases[i])) == NULL)
            return SPT_ENOMEM;
    return SPT_OK;
}

static spt_status open_context(spt_context *context, const spt_options *options, const char *device_name) {
    pthread_mutex_init(&context->others_lock, NULL);
    context->mode = options->mode;
    context->log = options->log;
    context->log_user = options->log_user;
    SPT_TRY(copy_databases(context, options->databases));
    SPT_TRY(spt_device_find(&context->device, device_name));
    SPT_TRY(spt_capture_init(&context->capture));
    return context->mode == SPT_MODE_OFF ? SPT_OK : read_layers(context, options->databases);
}

static spt_status new_context(spt_context **out, const spt_options *options, const char *device_name) {
    spt_context *context = NULL;
    *out = NULL;
    SPT_TRY(SPT_NEW_ZEROED(context, 1));
    const spt_status status = open_context(context, options, device_name);
    if (status != SPT_OK) {
        spt_close(context);
        return status;
    }
    *out = context;
    return SPT_OK;
}

spt_status spt_context_on(spt_context **out, spt_context *context, const char *device_name) {
    const char *const *databases = (const char *const *)context->databases;
    const spt_options options = {sizeof options, databases, context->mode, context->log, context->log_user};
    const char *known;
    *out = context;
    if (strcmp(device_name, "cpu") == 0)
        return SPT_OK;
    for (int i = 0; i < SPT_OTHER_DEVICES_MAX; i++) {
        char name[sizeof "cuda:" + 12];
        snprintf(name, sizeof name, "cuda:%d", i);
        SPT_TRY(spt_device_name(&known, name));
        if (known != device_name)
            continue;
        spt_status status = SPT_OK;
        *out = atomic_load(&context->others[i]);
        if (*out != NULL)
            return SPT_OK;
        pthread_mutex_lock(&context->others_lock);
        *out = atomic_load(&context->others[i]);
        if (*out == NULL) {
            status = new_context(out, &options, device_name);
            atomic_store(&context->others[i], *out);
        }
        pthread_mutex_unlock(&context->others_lock);
        return status;
    }
    return SPT_OK;
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
    return new_context(out, &known, "cpu");
}

void spt_close(spt_context *context) {
    if (context == NULL)
        return;
    for (int i = 0; i < SPT_OTHER_DEVICES_MAX; i++)
        spt_close(atomic_load(&context->others[i]));
    for (size_t i = 0; context->databases != NULL && context->databases[i] != NULL; i++)
        spt_free(context->databases[i]);
    spt_free(context->databases);
    pthread_mutex_destroy(&context->others_lock);
    spt_table_fini(&context->table);
    spt_table_fini(&context->near_table);
    spt_memo_fini(&context->memo);
    spt_capture_fini(&context->capture);
    spt_free(context);
}
