// Runs at the edge before the cache is asked.
function handler(event) {
  var request = event.request;
  if (request.uri.endsWith('/')) {
    return { statusCode: 404, statusDescription: 'Not Found' };
  }
  request.uri = request.uri.replace(/\+/g, '%2B');
  return request;
}
