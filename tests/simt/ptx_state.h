/* SPDX-License-Identifier: Apache-2.0 */
/* Parsed PTX: what the reader hands to the machine. */
#ifndef SPT_TESTS_SIMT_PTX_STATE_H
#define SPT_TESTS_SIMT_PTX_STATE_H

#include "tests/simt/ptx.h"

enum { PTX_NAME_MAX = 48, PTX_OPERANDS_MAX = 8, PTX_PARAMS_MAX = 24 };

typedef enum ptx_op {
    PTX_MOV,
    PTX_ADD_U32,
    PTX_ADD_U64,
    PTX_ADD_F32,
    PTX_SUB_U32,
    PTX_MIN_U32,
    PTX_MAX_F32,
    PTX_FMA_F32,
    PTX_MAD_LO_U32,
    PTX_MAD_LO_U64,
    PTX_MAD_WIDE_U32,
    PTX_DIV_U32,
    PTX_SETP_LT_U32,
    PTX_SETP_GE_U32,
    PTX_SETP_EQ_U32,
    PTX_SETP_NE_U32,
    PTX_AND_PRED,
    PTX_BRA,
    PTX_BAR_SYNC,
    PTX_EXIT,
    PTX_CALL,
    PTX_LD_PARAM,
    PTX_ST_PARAM,
    PTX_LD_GLOBAL_U64,
    PTX_LD_GLOBAL_NC_32,
    PTX_LD_GLOBAL_NC_V4_F32,
    PTX_ST_GLOBAL_F32,
    PTX_LD_SHARED_F32,
    PTX_ST_SHARED_F32,
    PTX_N_OPS
} ptx_op;

typedef enum ptx_kind {
    PTX_NONE,
    PTX_REGISTER,
    PTX_NUMBER,
    PTX_SPECIAL,
    PTX_MEMORY,
    PTX_PARAM,
    PTX_TABLE,
    PTX_SHARED
} ptx_kind;

typedef enum ptx_special {
    PTX_TID_X,
    PTX_TID_Y,
    PTX_CTAID_X,
    PTX_CTAID_Y,
    PTX_NCTAID_X,
    PTX_NCTAID_Y,
    PTX_CTAID_Z,
    PTX_N_SPECIALS
} ptx_special;

typedef struct ptx_operand {
    ptx_kind kind;
    int index;      /* register, special, parameter */
    int64_t number; /* immediate (bits of a float), or the offset of a memory operand */
} ptx_operand;

typedef struct ptx_instruction {
    ptx_op op;
    int line;
    int guard; /* register of the predicate, -1: always */
    int n_operands;
    ptx_operand operands[PTX_OPERANDS_MAX];
    int target; /* of a branch */
} ptx_instruction;

typedef struct ptx_function {
    char name[PTX_NAME_MAX];
    bool is_entry;
    int n_params, n_registers, n_instructions;
    ptx_instruction *instructions;
} ptx_function;

struct ptx_program {
    ptx_function *functions;
    int n_functions, capacity;
    char table[4096][PTX_NAME_MAX]; /* names of functions */
    int n_table;
    int64_t counts[PTX_N_OPS];
};

const char *ptx_op_name(ptx_op op);
const ptx_function *ptx_find(const ptx_program *program, const char *name);

#endif
