/* SPDX-License-Identifier: Apache-2.0
 * Tails of chi-square and of the normal distribution against mpmath 1.4.1 with 40 digits
 * (gammainc(df / 2, x / 2, inf, regularized=True), erfc), which scipy 1.17.1 (chi2.sf, norm.sf)
 * agrees with to 12 digits. */
#include "tests/unit/unit.h"

#include <math.h>

#include "relay/base/chi2.h"

static void assert_near(double got, double want, double relative)
{
	if (fabs(got - want) > relative * fabs(want))
		fail_msg("%.17g, not %.17g", got, want);
}

static void tails_of_chi_square_are_those_of_mpmath(void **state)
{
	static const struct {
		double x;
		uint32_t df;
		double tail;
	} rows[] = {
		{0, 1, 1},
		{0.5, 1, 0.47950012218695346},
		{3.841458820694124, 1, 0.050000000000000057},
		{13.815510557964274, 2, 0.0010000000000000002},
		{100, 1, 1.5239706048321052e-23},
		{0.1, 3, 0.99183742373187648},
		{7.814727903251179, 3, 0.050000000000000018},
		{30.5, 7, 7.685993449410962e-5},
		{5, 64, 1},
		{124.34, 100, 0.050013340546306193},
		{1074.6794, 1000, 0.050000107282837441},
		{900, 1000, 0.98928276190871026},
		{3000, 1000, 1.6436845843569543e-198},
		{10000, 9999, 0.4952983945386835},
		{2000, 1, 0}, /* 9e-437 */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_near(chi2_tail(rows[i].x, rows[i].df), rows[i].tail, 1e-11);
}

static void tails_of_the_normal_distribution_are_those_of_mpmath(void **state)
{
	static const struct {
		double z, tail;
	} rows[] = {
		{0, 0.5},
		{1, 0.15865525393145707},
		{-1, 0.84134474606854295},
		{1.959963984540054, 0.025000000000000011},
		{3.290526731491896, 0.00049999999999999824},
		{8, 6.2209605742717841e-16},
		{20, 2.7536241186062337e-89},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_near(normal_tail(rows[i].z), rows[i].tail, 1e-12);
}

/* One degree of freedom is the square of a normal variable. */
static void one_degree_of_freedom_is_a_normal_variable_squared(void **state)
{
	for (double z = 0.01; z < 30; z *= 1.1)
		assert_near(chi2_tail(z * z, 1), 2 * normal_tail(z), 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tails_of_chi_square_are_those_of_mpmath),
		cmocka_unit_test(tails_of_the_normal_distribution_are_those_of_mpmath),
		cmocka_unit_test(one_degree_of_freedom_is_a_normal_variable_squared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
