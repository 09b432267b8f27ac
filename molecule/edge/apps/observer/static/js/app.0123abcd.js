console.log("observer");
