// A routing policy with a JavaScript engine around it: what the gateway must admit while it answers others.
export const routing = {
  describe: () => ({ name: 'in-javascript', version: '1.0.0', summary: 'Takes the last model.', settings: [] }),
  configure: () => {},
  route: (request, candidates) => ({
    tag: 'route',
    val: { ranking: [candidates.length - 1], complexity: 0.5, tier: 'medium', reason: 'as told' },
  }),
};
