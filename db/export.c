/* SPDX-License-Identifier: Apache-2.0 */
/* Writing all records as lines: kind by kind, each sorted by identity, all of one moment. */
#include "core/memory.h"
#include "db/exchange.h"
#include "db/handle.h"
#include "db/json.h"
#include "db/scan.h"

#include <string.h>

void spt_item_anonymize(spt_item *item) {
    if (item->kind == SPT_ITEM_DEVICE)
        item->as.device.os[0] = '\0';
    else if (item->kind == SPT_ITEM_SESSION)
        item->as.session.host[0] = '\0';
    else if (item->kind == SPT_ITEM_TRIAL)
        item->as.trial.trial.measurement.reason[0] = '\0'; /* it may quote the path of a library */
}

static spt_status write_item(spt_line_writer *writer, spt_item *item, const spt_export_options *options) {
    char *line;
    size_t size;
    if (options->anonymous)
        spt_item_anonymize(item);
    SPT_TRY(spt_item_to_json(&line, &size, item));
    const spt_status status = spt_line_write(writer, line, size);
    spt_free(line);
    return status;
}

static spt_status export_kind(spt_export_result *out, spt_db *db, spt_item_kind kind, spt_line_writer *writer,
                              const spt_export_options *options) {
    spt_scan scan;
    spt_status status;
    SPT_TRY(spt_scan_open(&scan, db, kind, options->with_positions));
    while ((status = spt_scan_next(&scan)) == SPT_OK) {
        SPT_TRY_TO(done, write_item(writer, &scan.item, options));
        out->n_records++;
    }
    status = status == SPT_ENOTFOUND ? SPT_OK : status;
    out->n_skipped += scan.n_skipped;
done:
    spt_scan_close(&scan);
    return status;
}

spt_status spt_db_export(spt_export_result *out, spt_db *db, spt_line_writer *writer,
                         const spt_export_options *options) {
    const char *header = spt_exchange_header();
    *out = (spt_export_result){0};
    SPT_TRY(spt_db_exec(db, "BEGIN"));
    spt_status status = spt_line_write(writer, header, strlen(header));
    for (int kind = 0; kind < SPT_ITEM_KIND_COUNT && status == SPT_OK; kind++)
        status = export_kind(out, db, (spt_item_kind)kind, writer, options);
    sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL); /* nothing was written */
    return status;
}
