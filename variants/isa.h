/* SPDX-License-Identifier: Apache-2.0 */
/* One kernel source, one object per ISA: names that differ per object, and the table that chooses among them.
 * The build compiles each file of cpu/ once per ISA with -DSPT_ISA=n (an spt_isa). Nothing non-static is shared between
 * those objects but what SPT_ISA_NAME suffixes, so no object's instructions can leak into another's functions. */
#ifndef SPT_VARIANTS_ISA_H
#define SPT_VARIANTS_ISA_H

#include "core/hardware.h"

#define SPT_JOIN_(a, b) a##_##b
#define SPT_JOIN(a, b) SPT_JOIN_(a, b)

#if SPT_ISA == 3
#define SPT_ISA_SUFFIX avx512
#elif SPT_ISA == 2
#define SPT_ISA_SUFFIX avx2
#elif SPT_ISA == 1
#define SPT_ISA_SUFFIX neon
#else
#define SPT_ISA_SUFFIX plain
#define SPT_EMIT_DESCRIPTOR 1 /* the host half of a family is emitted once, in the plain object */
#endif

/* This object's name of a symbol. */
#define SPT_ISA_NAME(name) SPT_JOIN(name, SPT_ISA_SUFFIX)

/* Declare `type name_<isa>` for each ISA of the architecture and a function name_for(isa) that gives the best one that
 * is not above `isa`. For use in the host half. */
#if defined(__x86_64__)
#define SPT_ISA_TABLE(type, name)                                                                                      \
    extern type name##_plain, name##_avx2, name##_avx512;                                                              \
    static type *name##_for(spt_isa isa) {                                                                             \
        static type *const table[SPT_ISA_COUNT] = {&name##_plain, &name##_plain, &name##_avx2, &name##_avx512};        \
        return table[isa];                                                                                             \
    }
#elif defined(__aarch64__)
#define SPT_ISA_TABLE(type, name)                                                                                      \
    extern type name##_plain, name##_neon;                                                                             \
    static type *name##_for(spt_isa isa) {                                                                             \
        return isa == SPT_ISA_NEON ? &name##_neon : &name##_plain;                                                     \
    }
#else
#define SPT_ISA_TABLE(type, name)                                                                                      \
    extern type name##_plain;                                                                                          \
    static type *name##_for(spt_isa isa) {                                                                             \
        (void)isa;                                                                                                     \
        return &name##_plain;                                                                                          \
    }
#endif

enum { SPT_LINE_FLOATS = 16 }; /* floats of a cache line */

#endif
