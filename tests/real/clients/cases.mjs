// What the scripts of the JavaScript clients share.

/** One pixel, in base64. */
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** Runs all cases in order, and prints what each returned, or that it failed and how. */
export async function run(cases) {
  for (const [name, work] of Object.entries(cases)) {
    let outcome;
    try {
      outcome = { result: await work() };
    } catch (error) {
      const { statusCode, status_code: status, responseBody } = error;
      outcome = { error: String(error), status: statusCode ?? status, responseBody };
    }
    console.log(JSON.stringify({ case: name, ...outcome }));
  }
}
