exports.handle = (event, context, callback) => callback(null, { twice: event.value * 2 });
