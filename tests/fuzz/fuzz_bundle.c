/* SPDX-License-Identifier: Apache-2.0
 * Bundles from strangers: what parses is built to JSON that parses to the same, and checking finds
 * the same in both ([G3]). */
#include <stdlib.h>
#include <string.h>

#include "relay/receipt/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bundle bundle, back;
	struct bundle_report report, again;
	struct buf json = {0}, json2 = {0};
	struct err err;

	if (!bundle_parse(VIEW(data, size), &bundle, &err))
		return 0;
	bool fine = bundle_check(&bundle, &report);
	if (fine != (report.faults == 0) || report.faults >= 1u << BUNDLE_FAULTS)
		abort();
	bundle_put_json(&bundle, &json);
	if (!bundle_parse(buf_view(&json), &back, &err))
		abort();
	bundle_put_json(&back, &json2);
	bundle_check(&back, &again);
	if (!view_eq(buf_view(&json), buf_view(&json2)) || again.faults != report.faults)
		abort();
	buf_finish(&json);
	buf_finish(&json2);
	bundle_finish(&bundle);
	bundle_finish(&back);
	return 0;
}
