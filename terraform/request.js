// Runs at the edge before the cache is asked. A preflight is answered here: the bucket has no rules for other origins, and
// would refuse it. Its headers are those of the headers policy in cdn.tf.
function handler(event) {
  var request = event.request;
  if (request.method === 'OPTIONS') {
    return {
      statusCode: 204,
      statusDescription: 'No Content',
      headers: {
        'access-control-allow-origin': { value: '*' },
        'access-control-allow-methods': { value: 'GET, HEAD' },
        'access-control-allow-headers': { value: '*' },
        'access-control-max-age': { value: '86400' },
      },
    };
  }
  if (request.uri.endsWith('/')) {
    return { statusCode: 404, statusDescription: 'Not Found' };
  }
  request.uri = request.uri.replace(/\+/g, '%2B');
  return request;
}
