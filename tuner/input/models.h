/* SPDX-License-Identifier: Apache-2.0 */
/* Layer shapes of well-known networks, for making patterns of realistic size without anybody's weights. */
#ifndef SPT_TUNER_MODELS_H
#define SPT_TUNER_MODELS_H

#include "core/types.h"

typedef struct spt_model_layer {
    const char *name;
    int m, k, n;
    double sparsity;
    spt_epilogue epilogue;
    int count; /* how often the model has a layer of this shape */
} spt_model_layer;

typedef struct spt_model {
    const char *name;
    const char *title;
    spt_layout layout;
    const spt_model_layer *layers;
    int n_layers;
} spt_model;

const spt_model *spt_model_find(const char *name); /* NULL when unknown */
const char *spt_model_names(void);                 /* all names, for sentences */

#endif
