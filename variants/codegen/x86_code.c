/* SPDX-License-Identifier: Apache-2.0 */
#include "variants/codegen/x86_code.h"

#include "core/memory.h"

enum { ENTRY_ALIGNMENT = 64 };

spt_status spt_x86_code_init(spt_x86_code *out, int64_t n_functions, size_t bytes, x86_writer *writer) {
    *out = (spt_x86_code){0};
    SPT_TRY(SPT_NEW(out->entry, n_functions + 1));
    SPT_TRY(spt_code_pages_new(&out->pages, bytes + (size_t)(n_functions + 1) * ENTRY_ALIGNMENT));
    writer->next = out->pages.data;
    return SPT_OK;
}

void spt_x86_code_enter(spt_x86_code *code, int64_t index, x86_writer *writer) {
    const size_t used = (size_t)(writer->next - code->pages.data);
    const size_t aligned = (used + ENTRY_ALIGNMENT - 1) / ENTRY_ALIGNMENT * ENTRY_ALIGNMENT;
    writer->next = code->pages.data + aligned;
    code->entry[index] = (int64_t)aligned;
}

spt_status spt_x86_code_seal(spt_x86_code *code, const x86_writer *writer) {
    return spt_code_pages_seal(&code->pages, (size_t)(writer->next - code->pages.data));
}

void spt_x86_code_fini(spt_x86_code *code) {
    spt_code_pages_free(&code->pages);
    spt_free(code->entry);
    *code = (spt_x86_code){0};
}
