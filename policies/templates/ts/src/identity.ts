// What the policy is called. What decides differently is another version.

export const NAME = '{{name}}';
export const VERSION = '1.0.0';
