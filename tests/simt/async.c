/* SPDX-License-Identifier: Apache-2.0 */
/* cp.async as late as the rules allow: the bytes arrive when their thread waits for their group, and not before. */
#include <stdlib.h>
#include <string.h>

#include "tests/simt/state.h"

void simt_async_copy(void *to, const void *from, int bytes, int bytes_read, int line) {
    simt_thread *self = simt_now.self;
    if (bytes != 4 && bytes != 8 && bytes != 16)
        simt_fail(line, "cp.async of %d bytes; 4, 8 and 16 are legal", bytes);
    if (bytes_read < 0 || bytes_read > bytes)
        simt_fail(line, "cp.async reads %d of %d bytes", bytes_read, bytes);
    if ((uintptr_t)from % (uintptr_t)bytes != 0)
        simt_fail(line, "cp.async of %d bytes from %p, which is not aligned", bytes, from);
    for (int i = 0; i < bytes_read; i++)
        simt_read(SIMT_GLOBAL, (const char *)from + i, 1, line);
    simt_write(SIMT_SHARED, to, (size_t)bytes, line);
    simt_async_expect(to, (size_t)bytes, false);
    if (self->n_copies == self->copies_capacity) {
        self->copies_capacity = 2 * self->copies_capacity + 16;
        self->copies = realloc(self->copies, (size_t)self->copies_capacity * sizeof *self->copies);
        if (self->copies == NULL)
            abort();
    }
    self->copies[self->n_copies++] = (simt_copy){to, from, bytes, bytes_read, self->n_groups, line};
}

void simt_async_commit(void) {
    simt_now.self->n_groups++;
}

/* Deliver all groups but the n_pending last ones; -1: all copies, committed or not. */
void simt_async_wait(int n_pending) {
    simt_thread *self = simt_now.self;
    int n_kept = 0;
    for (int i = 0; i < self->n_copies; i++) {
        const simt_copy copy = self->copies[i];
        if (n_pending >= 0 && copy.group >= self->n_groups - n_pending) {
            self->copies[n_kept++] = copy;
            continue;
        }
        memset(copy.to, 0, (size_t)copy.bytes);
        memcpy(copy.to, copy.from, (size_t)copy.bytes_read);
        simt_async_expect(copy.to, (size_t)copy.bytes, true);
    }
    self->n_copies = n_kept;
}
