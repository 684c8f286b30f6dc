/* SPDX-License-Identifier: Apache-2.0 */
/* Exponential, logarithm and expected improvement from + - * / and sqrt alone, which IEEE 754 rounds alike everywhere,
 * so that the same told costs give the same asks on any machine. libm's own differ in the last digit between versions.
 * Files of search/ are compiled without contraction of multiply and add for the same reason. */
#ifndef SPT_SEARCH_EXACT_H
#define SPT_SEARCH_EXACT_H

double spt_exact_exp(double x);        /* relative error below 1e-14; 0 below -700, exp(700) above 700 */
void spt_exact_exps(double *x, int n); /* replace each by its exponential: the same bits, less time */
double spt_exact_log(double x);        /* x finite and > 0 */
/* Sum of a_i b_i in one fixed order, four partial sums at a time. */
double spt_exact_dot(const double *a, const double *b, int n);
/* E[max(0, best - Y)] for Y normal with this mean and deviation > 0. Relative error below 1e-4. */
double spt_expected_improvement(double best, double mean, double deviation);

#endif
