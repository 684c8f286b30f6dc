/* SPDX-License-Identifier: Apache-2.0 */
/* The models as tables. Convolutions are the GEMM view: m = output channels, k = kernel area * input channels, n =
 * output pixels at batch 1 and 224 x 224; linear layers: n = tokens of one sequence. Sparsities are those at which
 * magnitude pruning is reported to keep accuracy (Gale, Elsen, Hooker, arXiv 1902.09574). */
#include "tuner/input/models.h"

#include <string.h>

/* He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; stride 2 in the 3x3 layers. */
static const spt_model_layer resnet50[] = {
    {"stem_7x7", 64, 147, 12544, 0.80, SPT_BIAS_RELU, 1},
    {"s1_1x1_first", 64, 64, 3136, 0.80, SPT_BIAS_RELU, 1},
    {"s1_1x1_in", 64, 256, 3136, 0.80, SPT_BIAS_RELU, 2},
    {"s1_3x3", 64, 576, 3136, 0.90, SPT_BIAS_RELU, 3},
    {"s1_1x1_out", 256, 64, 3136, 0.80, SPT_BIAS, 4},
    {"s2_1x1_first", 128, 256, 3136, 0.90, SPT_BIAS_RELU, 1},
    {"s2_1x1_in", 128, 512, 784, 0.90, SPT_BIAS_RELU, 3},
    {"s2_3x3", 128, 1152, 784, 0.90, SPT_BIAS_RELU, 4},
    {"s2_1x1_out", 512, 128, 784, 0.90, SPT_BIAS, 4},
    {"s2_shortcut", 512, 256, 784, 0.90, SPT_BIAS, 1},
    {"s3_1x1_first", 256, 512, 784, 0.90, SPT_BIAS_RELU, 1},
    {"s3_1x1_in", 256, 1024, 196, 0.90, SPT_BIAS_RELU, 5},
    {"s3_3x3", 256, 2304, 196, 0.90, SPT_BIAS_RELU, 6},
    {"s3_1x1_out", 1024, 256, 196, 0.90, SPT_BIAS, 6},
    {"s3_shortcut", 1024, 512, 196, 0.90, SPT_BIAS, 1},
    {"s4_1x1_first", 512, 1024, 196, 0.90, SPT_BIAS_RELU, 1},
    {"s4_1x1_in", 512, 2048, 49, 0.90, SPT_BIAS_RELU, 2},
    {"s4_3x3", 512, 4608, 49, 0.95, SPT_BIAS_RELU, 3},
    {"s4_1x1_out", 2048, 512, 49, 0.90, SPT_BIAS, 3},
    {"s4_shortcut", 2048, 1024, 49, 0.90, SPT_BIAS, 1},
    {"fc", 1000, 2048, 1, 0.90, SPT_BIAS, 1},
};

/* Howard et al., "MobileNets", arXiv 1704.04861; the pointwise layers. */
static const spt_model_layer mobilenetv1[] = {
    {"pw1", 64, 32, 12544, 0.75, SPT_BIAS_RELU, 1},    {"pw2", 128, 64, 3136, 0.90, SPT_BIAS_RELU, 1},
    {"pw3", 128, 128, 3136, 0.90, SPT_BIAS_RELU, 1},   {"pw4", 256, 128, 784, 0.90, SPT_BIAS_RELU, 1},
    {"pw5", 256, 256, 784, 0.90, SPT_BIAS_RELU, 1},    {"pw6", 512, 256, 196, 0.90, SPT_BIAS_RELU, 1},
    {"pw7_11", 512, 512, 196, 0.90, SPT_BIAS_RELU, 5}, {"pw12", 1024, 512, 49, 0.90, SPT_BIAS_RELU, 1},
    {"pw13", 1024, 1024, 49, 0.90, SPT_BIAS_RELU, 1},  {"fc", 1000, 1024, 1, 0.90, SPT_BIAS, 1},
};

/* Vaswani et al., "Attention Is All You Need", NIPS 2017; 6 encoder and 6 decoder layers, 256 tokens. */
static const spt_model_layer transformer_base[] = {
    {"attention", 512, 512, 256, 0.90, SPT_BIAS, 72},
    {"ffn_up", 2048, 512, 256, 0.90, SPT_BIAS_RELU, 12},
    {"ffn_down", 512, 2048, 256, 0.90, SPT_BIAS, 12},
};

/* Devlin et al., "BERT", NAACL 2019; 12 layers, 128 tokens. */
static const spt_model_layer bert_base[] = {
    {"attention", 768, 768, 128, 0.90, SPT_BIAS, 48},
    {"ffn_up", 3072, 768, 128, 0.90, SPT_BIAS, 12},
    {"ffn_down", 768, 3072, 128, 0.90, SPT_BIAS, 12},
    {"pooler", 768, 768, 1, 0.90, SPT_BIAS, 1},
};

#define MODEL(name, title, layout)                                                                                     \
    { #name, title, layout, name, (int)(sizeof name / sizeof name[0]) }
static const spt_model models[] = {
    MODEL(resnet50, "ResNet-50", SPT_KN),
    MODEL(mobilenetv1, "MobileNetV1", SPT_KN),
    MODEL(transformer_base, "Transformer base", SPT_NK),
    MODEL(bert_base, "BERT base", SPT_NK),
};

const spt_model *spt_model_find(const char *name) {
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    }
    return NULL;
}

const char *spt_model_names(void) {
    return "resnet50, mobilenetv1, transformer_base or bert_base";
}
