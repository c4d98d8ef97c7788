// @ts-check
// What the policy is called. Both hooks must say the same.

export const NAME = 'complexity-javascript';
export const VERSION = '1.0.0';
